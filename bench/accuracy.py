"""Test accuracy of the worked example, Souk against Keras. usage: accuracy.py SOUK DIR KERAS.jsonl [SEEDS=20]
DIR is the output of accuracy_data.py, KERAS.jsonl that of accuracy_keras.py. Prints means over seeds, their difference, and its 95 % interval
(Welch); "level" when the difference is -0.5 points or better, or the interval contains 0."""
import collections, json, math, statistics, subprocess, sys, tempfile
souk, where, keras_file = sys.argv[1:4]
seeds = int(sys.argv[4]) if len(sys.argv) > 4 else 20
keras = collections.defaultdict(list)
for line in open(keras_file):
    x = json.loads(line)
    keras[x["set"]].append(x["accuracy"])
tmp = tempfile.mkdtemp()
open(f"{tmp}/m.yaml", "w").write("""input_features:
  - name: text
    type: text
    preprocessing: {tokenizer: {type: word, num_words: 1000, oov_token: "<OOV>"}, pad_sequences: {maxlen: 100}}
    encoder: {type: lstm, embedding_size: 16, units: 32}
output_features:
  - {name: label, type: binary, loss: binary_crossentropy}
trainer: {epochs: 10, batch_size: 32, optimizer: {type: adam}, learning_rate: 0.001, validation_split: 0}
""")


def t975(df):   # two-sided 95 % quantile of Student's t, by the expansion of Abramowitz and Stegun 26.7.5
    z = 1.959963985
    return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)


for name in keras:
    ours = []
    for seed in range(1, seeds + 1):
        p = subprocess.run([souk, "train", f"{where}/{name}_train.csv", "--config", f"{tmp}/m.yaml", "--test", f"{where}/{name}_test.csv", "--seed", str(seed),
                            "--replicates", "0", "--quiet", "--json"], capture_output=True, text=True)
        if p.returncode:
            sys.exit(p.stderr)
        ours.append(json.loads(p.stdout)["metrics"]["accuracy"])
    a, b = ours, keras[name]
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    diff, se = statistics.mean(a) - statistics.mean(b), math.sqrt(va + vb)
    half = t975((va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))) * se
    level = diff >= -0.005 or abs(diff) <= half
    print(f"{name:10s} souk {statistics.mean(a):.4f} +- {statistics.stdev(a):.4f}   keras {statistics.mean(b):.4f} +- {statistics.stdev(b):.4f}   "
          f"difference {diff * 100:+.2f} points, 95 % interval {100 * (diff - half):+.2f} to {100 * (diff + half):+.2f}   {'level' if level else 'BELOW'}", flush=True)
