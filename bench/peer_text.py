"""The worked example in a rival, timed. usage: peer_text.py keras|torch epochs|cold|predict|tokenise TRAIN.csv TEST.csv THREADS
For keras, KERAS_BACKEND says which. Prints JSON lines: name, value, unit. `cold` is one whole process; time it from outside."""
import csv, json, os, statistics, sys, time
peer, mode, train, test, threads = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
os.environ["OMP_NUM_THREADS"] = str(threads)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if threads == 1 and os.environ.get("KERAS_BACKEND") == "jax":
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
import numpy as np


def read(path):
    rows = list(csv.reader(open(path, newline="", encoding="utf-8")))[1:]
    return [r[0] for r in rows], np.array([r[1] for r in rows], dtype="float32")


def say(name, value, unit, version):
    print(json.dumps({"peer": peer + (":" + os.environ["KERAS_BACKEND"] if peer == "keras" else ""), "version": version, "threads": threads, "name": name, "value": value, "unit": unit}), flush=True)


def rate(fn, n, repeats=5):
    fn()
    best = 1e9
    for _ in range(repeats):
        t = time.perf_counter()
        fn()
        best = min(best, time.perf_counter() - t)
    return n / best


def latency(fn):
    for _ in range(5):
        fn()
    ts = []
    for _ in range(50):
        t = time.perf_counter()
        fn()
        ts.append(time.perf_counter() - t)
    return statistics.median(ts) * 1e3


(tr, ytr), (te, yte) = read(train), read(test)
if peer == "keras":
    import keras
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    from keras.src.legacy.preprocessing.text import Tokenizer
    from keras.utils import pad_sequences
    version = keras.__version__
else:
    import torch
    torch.set_num_threads(threads)
    version = torch.__version__

    class Tokenizer:   # Keras' rules, the plain way that PyTorch users write it
        def __init__(self, num_words, oov_token):
            self.n, self.table = num_words, str.maketrans({c: " " for c in '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'})
        def split(self, t):
            return [w for w in t.lower().translate(self.table).split(" ") if w]
        def fit_on_texts(self, texts):
            count = {}
            for t in texts:
                for w in self.split(t):
                    count[w] = count.get(w, 0) + 1
            self.index = {w: i + 2 for i, (w, _) in enumerate(sorted(count.items(), key=lambda x: -x[1]))}
        def texts_to_sequences(self, texts):
            return [[i if (i := self.index.get(w, 1)) < self.n else 1 for w in self.split(t)] for t in texts]

    def pad_sequences(s, maxlen):
        x = np.zeros((len(s), maxlen), dtype="int32")
        for i, v in enumerate(s):
            v = v[-maxlen:]
            if v:
                x[i, -len(v):] = v
        return x


def tokenise():
    tok = Tokenizer(num_words=1000, oov_token="<OOV>")
    tok.fit_on_texts(tr)
    return tok, pad_sequences(tok.texts_to_sequences(tr), maxlen=100)


if mode == "tokenise":
    say("fit, transform, pad", rate(tokenise, len(tr), 2), "documents/s", version)
    sys.exit(0)
tok, xtr = tokenise()
xte = pad_sequences(tok.texts_to_sequences(te), maxlen=100)
if peer == "keras":
    keras.utils.set_random_seed(1)
    m = keras.Sequential([keras.layers.Embedding(1000, 16), keras.layers.LSTM(32), keras.layers.Dense(1, activation="sigmoid")])
    m.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    epoch = lambda: m.fit(xtr, ytr, epochs=1, batch_size=32, verbose=0)
    predict = lambda x, b: m.predict(x, batch_size=b, verbose=0)
else:
    from torch import nn
    torch.manual_seed(1)
    xt, yt = torch.from_numpy(xtr.astype("int64")), torch.from_numpy(ytr)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.l, self.d = nn.Embedding(1000, 16), nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 1)
        def forward(self, x):
            return self.d(self.l(self.e(x))[1][0][-1]).squeeze(-1)

    m = Net()
    opt, loss = torch.optim.Adam(m.parameters(), lr=1e-3), nn.BCEWithLogitsLoss()

    def epoch():
        order = torch.randperm(len(xt))
        for i in range(0, len(xt), 32):
            k = order[i:i + 32]
            opt.zero_grad(set_to_none=True)
            loss(m(xt[k]), yt[k]).backward()
            opt.step()

    @torch.inference_mode()
    def predict(x, b):
        x = torch.from_numpy(x.astype("int64"))
        return torch.cat([torch.sigmoid(m(x[i:i + b])) for i in range(0, len(x), b)]).numpy()


def accuracy():
    return float(np.mean((predict(xte, 512).reshape(-1) > 0.5) == (yte > 0.5)))


if mode == "cold":
    epoch()
    say("accuracy after one epoch", accuracy(), "share", version)
elif mode == "epochs":
    ts = []
    for _ in range(5):
        t = time.perf_counter()
        epoch()
        ts.append(time.perf_counter() - t)
    say("epoch, median of 2 to 5", statistics.median(ts[1:]), "s", version)
    say("accuracy after five epochs", accuracy(), "share", version)
else:
    say("predict, batches of 1,024", rate(lambda: predict(xtr[:8192], 1024), 8192), "documents/s", version)
    say("predict one", latency(lambda: predict(xtr[:1], 1)), "ms", version)
