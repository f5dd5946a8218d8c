"""Writes rnn.bin: outputs and gradients of Keras' recurrent layers in float64, for tests/test_rnn.c.

Each record: 12 int64 (kind 0 simple, 1 LSTM, 2 GRU; reset_after, return_sequences, go_backwards, zero_output_for_mask, has bias,
has mask, activation and recurrent activation as gemm_act, B, T, E), one more int64 H, then float64 arrays x, w, u, bias, mask,
d (the loss is sum(d * output)), output, dx, dw, du, dbias. Little-endian. Run: python make_rnn.py (keras 3, tensorflow)."""
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf

keras.backend.set_floatx("float64")
ACT = {"linear": 0, "relu": 1, "sigmoid": 2, "tanh": 3, "elu": 7, "softplus": 8, "silu": 6}
KIND = {"simple": (0, 1), "lstm": (1, 4), "gru": (2, 3)}


def layer(kind, H, o):
    common = dict(activation=o["act"], return_sequences=o["seq"], go_backwards=o["back"], use_bias=o["bias"])
    if kind == "simple":
        return keras.layers.SimpleRNN(H, **common)
    common["recurrent_activation"] = o["ract"]
    if kind == "gru":
        return keras.layers.GRU(H, reset_after=o["after"], **common)
    return keras.layers.LSTM(H, **common)


def record(f, rng, kind, B=3, T=6, E=4, H=5, **options):
    o = dict(act="tanh", ract="sigmoid", seq=False, back=False, zero=False, bias=True, mask=False, after=False)
    o.update(options)
    number, G = KIND[kind]
    l = layer(kind, H, o)
    x = rng.normal(size=(B, T, E))
    mask = rng.random((B, T)) < 0.6
    mask[0, :2] = False           # leading, trailing, and a row with nothing
    mask[1, -2:] = False
    mask[2] = False
    l.build(x.shape)
    l.zero_output_for_mask = o["zero"]
    l.set_weights([rng.normal(size=w.shape) * 0.5 for w in l.get_weights()])
    xt = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = l(xt, mask=tf.constant(mask) if o["mask"] else None)
        d = rng.normal(size=y.shape)
        loss = tf.reduce_sum(y * d)
    g = tape.gradient(loss, [xt] + [v.value for v in l.trainable_variables])
    header = [number, o["after"], o["seq"], o["back"], o["zero"], o["bias"], o["mask"], ACT[o["act"]], ACT[o["ract"]], B, T, E, H]
    np.array(header, dtype="<i8").tofile(f)
    w = l.get_weights()
    arrays = [x, w[0], w[1]] + ([w[2]] if o["bias"] else []) + ([mask] if o["mask"] else []) + [d, y] + list(g)
    for a in arrays:
        np.asarray(a, dtype="<f8").tofile(f)


def main():
    rng = np.random.default_rng(7)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "rnn.bin"), "wb") as f:
        for kind, o in [("simple", {}), ("lstm", {}), ("gru", dict(after=True)), ("gru", dict(after=False))]:
            record(f, rng, kind, **o)
            record(f, rng, kind, seq=True, mask=True, **o)
            record(f, rng, kind, mask=True, back=True, bias=False, **o)
            record(f, rng, kind, seq=True, mask=True, zero=True, back=True, **o)      # the backward half of a Bidirectional
            record(f, rng, kind, seq=True, mask=True, zero=True, H=18, **o)           # the forward half; more than one vector
            record(f, rng, kind, mask=True, zero=True, **o)
        record(f, rng, "lstm", H=35, T=4, E=2, seq=True)
        record(f, rng, "lstm", act="elu", ract="tanh", mask=True)
        record(f, rng, "gru", act="softplus", after=True, seq=True)
        record(f, rng, "simple", act="relu", seq=True)


main()
