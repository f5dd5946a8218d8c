"""Souk beside its rivals: the same work in the same run on the same machine, and the ratios.
usage: compare.py BUILD PEERS [ROW...]   rows: epoch cold predict tokenise product neighbour (default: all)
BUILD holds souk and the bench programs; PEERS holds venv-tf and venv-torch. Rounds are interleaved, each rival counts at its best
thread count, and the best round of each counts. Nothing here is a test."""
import json, os, re, resource, statistics, subprocess, sys, tempfile, time

build, peers = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
rows = sys.argv[3:] or ["epoch", "cold", "predict", "tokenise", "product", "neighbour"]
here = os.path.dirname(os.path.abspath(__file__))
tmp = tempfile.mkdtemp(prefix="souk-bench-")
train, test = f"{tmp}/train.csv", f"{tmp}/test.csv"
ROUNDS = int(os.environ.get("ROUNDS", "2"))
YAML = """input_features:
  - name: text
    type: text
    preprocessing: {tokenizer: {type: word, num_words: 1000, oov_token: "<OOV>"}, pad_sequences: {maxlen: 100}}
    encoder: {type: lstm, embedding_size: 16, units: 32}
output_features:
  - {name: label, type: binary, loss: binary_crossentropy}
trainer: {epochs: %d, batch_size: 32, validation_split: 0}
"""
for e in (1, 5):
    open(f"{tmp}/e{e}.yaml", "w").write(YAML % e)
env0 = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}


def sh(cmd, env=None, parse=True, prefix=()):
    t = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run([*prefix, *cmd], env={**env0, **(env or {})}, capture_output=True, text=True)
    wall = time.perf_counter() - t
    if p.returncode:
        print(p.stderr[-2000:], file=sys.stderr)
        sys.exit(f"failed: {' '.join(cmd)}")
    lines = [json.loads(x) for x in p.stdout.splitlines() if x.startswith("{")] if parse else p.stdout
    return lines, wall


def peak_rss(cmd, env=None):
    """Wall seconds and peak resident megabytes of one process."""
    t = time.perf_counter()
    p = subprocess.Popen(cmd, env={**env0, **(env or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(cmd)}")
    return time.perf_counter() - t, usage.ru_maxrss / 1024


RIVALS = {
    "Keras/TensorFlow": (f"{peers}/venv-tf/bin/python", "keras", {"KERAS_BACKEND": "tensorflow"}),
    "Keras/JAX": (f"{peers}/venv-tf/bin/python", "keras", {"KERAS_BACKEND": "jax"}),
    "PyTorch": (f"{peers}/venv-torch/bin/python", "torch", {}),
}
RIVALS = {k: v for k, v in RIVALS.items() if os.path.exists(v[0])}


def rival(name, mode, threads, prefix=()):
    py, peer, env = RIVALS[name]
    cmd = [py, f"{here}/peer_text.py", peer, mode, train, test, str(threads)]
    return (cmd, env) if mode == "cold" else sh(cmd, env, prefix=prefix)[0]


def souk_train(epochs, threads, prefix=()):
    out, wall = sh([f"{build}/souk", "train", train, "--config", f"{tmp}/e{epochs}.yaml", "--test", test, "--out", f"{tmp}/m.souk", "--threads", str(threads),
                    "--replicates", "0", "--quiet", "--json"], parse=False, prefix=prefix)
    return json.loads(out), wall


def table(title, unit, figures, lower_is_better=True, wanted=""):
    print(f"\n## {title} ({unit}){wanted and ': to reach ' + wanted}")
    ours = figures["souk"]
    for name, v in sorted(figures.items(), key=lambda x: x[1], reverse=not lower_is_better):
        ratio = v / ours if lower_is_better else ours / v
        print(f"  {name:28s} {v:12.5g}" + ("" if name == "souk" else f"   souk is {ratio:.2f} times as good"))


def best(figures, name, v, lower=True):
    figures[name] = v if name not in figures else (min if lower else max)(figures[name], v)


cpu = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), "?")
commit = subprocess.run(["git", "-C", here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
print(f"machine: {cpu}, {os.cpu_count()} cores; commit {commit}; {json.loads(sh([f'{build}/souk', 'doctor'], parse=False)[0])['kernels']} kernels")
sh([f"{peers}/venv-tf/bin/python", f"{here}/gen_text.py", train, test], parse=False)

if "epoch" in rows:
    f = {}
    for _ in range(ROUNDS):
        for threads in (1, 2):
            h = souk_train(5, threads)[0]["history"]
            best(f, "souk", statistics.median(x["seconds"] for x in h[1:5]))
            for name in RIVALS:
                for line in rival(name, "epochs", threads):
                    if line["unit"] == "s":
                        best(f, name, line["value"])
    table("worked example, epoch of 18,000 documents, median of epochs 2 to 5", "s", f, wanted="15 x Keras/TensorFlow and 4 x the fastest")
if "cold" in rows:
    f, mem = {}, {}
    for _ in range(ROUNDS):
        cmd = [f"{build}/souk", "train", train, "--config", f"{tmp}/e1.yaml", "--test", test, "--out", f"{tmp}/m.souk", "--quiet", "--json"]
        s, m = peak_rss(cmd)
        best(f, "souk", s)
        best(mem, "souk", m)
        for name in RIVALS:
            c, env = rival(name, "cold", 2)
            s, m = peak_rss(c, env)
            best(f, name, s)
            best(mem, name, m)
    table("cold start: read, tokenise, one epoch, evaluate (ours with 1,000 bootstrap replicates)", "s", f, wanted="8 x the fastest")
    table("… and peak resident memory", "MB", mem, wanted="at most 100 MB")
if "predict" in rows:
    one, many = {}, {}
    souk_train(1, 2)
    for _ in range(ROUNDS):
        for line in sh([f"{build}/bench_predict", f"{tmp}/m.souk", train])[0]:
            if line["name"] == "predict one":
                best(one, "souk", line["value"])
            elif line["name"] == "predict one text":
                best(one, "souk, from text", line["value"])
            elif line["name"] == "predict, batches of 1,024":
                best(many, "souk", line["value"], False)
        for name in RIVALS:
            for threads in (1, 2):
                for line in rival(name, "predict", threads):
                    best(one if line["unit"] == "ms" else many, name, line["value"], line["unit"] == "ms")
    table("one prediction, process running", "ms", one, wanted="at most 0.05 ms")
    table("batches of 1,024", "documents/s", many, False, wanted="2 x the fastest")
if "tokenise" in rows:
    f = {}
    for _ in range(ROUNDS):
        for line in sh([f"{build}/bench_tok", train])[0]:
            if line["name"] == "fit, transform, pad" and line["unit"] == "documents/s":
                best(f, "souk", line["value"], False)
        for name in ("Keras/JAX", "PyTorch"):
            if name in RIVALS:
                best(f, name.replace("Keras/JAX", "Keras Tokenizer").replace("PyTorch", "plain Python"), rival(name, "tokenise", 1)[0]["value"], False)
    table("tokenise by Keras' rules, one thread", "documents/s", f, False, wanted="20 x Keras and 300 MB/s")
if "product" in rows:
    figures = {}
    for name, flags in (("OpenBLAS", ["-DPEER_CBLAS", "-lopenblas"]), ("BLIS", ["-DPEER_CBLAS", "-I/usr/include/x86_64-linux-gnu/blis", "-lblis"]), ("oneDNN", ["-DPEER_DNNL", "-ldnnl"])):
        exe = f"{tmp}/peer-{name}"
        if subprocess.run(["cc", "-O2", flags[0], *flags[1:-1], f"{here}/peer_gemm.c", "-o", exe, flags[-1]], capture_output=True).returncode:
            print(f"  {name}: not installed, left out")
            continue
        for _ in range(ROUNDS):
            for line in sh([exe, name], {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "BLIS_NUM_THREADS": "1"})[0]:
                best(figures.setdefault(line["name"], {}), name, line["value"], False)
    shares = {}
    for _ in range(ROUNDS):
        level = None
        for line in sh(["taskset", "-c", "0", f"{build}/bench_kern"], parse=False)[0].splitlines():
            m = re.match(r"(\w+) +(\d+) x +(\d+) x +(\d+) packed +([\d.]+) GFLOP/s +([\d.]+) % of", line)
            if m and (level or m[1]) == m[1]:   # the best level of this machine comes first
                level = m[1]
                name = f"product {m[2]}x{m[3]}x{m[4]}"
                best(figures.setdefault(name, {}), "souk", float(m[5]), False)
                best(shares, name, float(m[6]), False)
    for name, f in figures.items():
        if len(f) > 1:
            table(f"{name}, fp32, one core; souk reaches {shares[name]:.1f} % of the core's measured peak", "GFLOP/s", f, False)
if "neighbour" in rows:
    f = {}
    for name in ["souk", *RIVALS]:
        def once():
            if name == "souk":
                return statistics.median(x["seconds"] for x in souk_train(5, 2)[0]["history"][1:5])
            return min(x["value"] for x in rival(name, "epochs", 2) if x["unit"] == "s")
        quiet = once()
        busy = subprocess.Popen(["taskset", "-c", "1", sys.executable, "-c", "while True: pass"])
        try:
            f[name] = quiet / once()
        finally:
            busy.terminate()
            busy.wait()
    table("beside a busy neighbour on one of two cores: share of the quiet speed kept", "share", f, False, wanted="at least 0.45")
