"""Test accuracy of the worked example in Keras, one line of JSON per data set and seed. usage: accuracy_keras.py DIR SEEDS [SET...]
DIR is the output of accuracy_data.py. Texts are tokenised by Keras' legacy Tokenizer fitted on training rows; 10 epochs, batches of 32."""
import csv, json, os, sys
os.environ.setdefault("KERAS_BACKEND", "jax")
import numpy as np, keras
from keras.src.legacy.preprocessing.text import Tokenizer
from keras.utils import pad_sequences
where, seeds = sys.argv[1], int(sys.argv[2])
csv.field_size_limit(1 << 30)


def read(path):
    rows = list(csv.reader(open(path, newline="", encoding="utf-8")))[1:]
    return [r[0] for r in rows], np.array([float(r[1]) for r in rows], dtype="float32")


for name in sys.argv[3:] or ("sentiment", "rt", "sms"):
    tr, ytr = read(f"{where}/{name}_train.csv")
    te, yte = read(f"{where}/{name}_test.csv")
    tok = Tokenizer(num_words=1000, oov_token="<OOV>")
    tok.fit_on_texts(tr)
    xtr, xte = (pad_sequences(tok.texts_to_sequences(t), maxlen=100) for t in (tr, te))
    for seed in range(1, seeds + 1):
        keras.utils.set_random_seed(seed)
        m = keras.Sequential([keras.layers.Embedding(1000, 16), keras.layers.LSTM(32), keras.layers.Dense(1, activation="sigmoid")])
        m.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
        m.fit(xtr, ytr, epochs=10, batch_size=32, verbose=0)
        acc = float(np.mean((m.predict(xte, batch_size=256, verbose=0)[:, 0] > 0.5) == (yte > 0.5)))
        print(json.dumps({"peer": "keras-" + keras.__version__, "backend": keras.backend.backend(), "set": name, "seed": seed, "accuracy": acc}), flush=True)
