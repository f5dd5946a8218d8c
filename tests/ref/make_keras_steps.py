#!/usr/bin/env python3
"""Makes keras_steps.bin: what Keras and PyTorch do in 100 training steps from given weights and batches.

    KERAS_BACKEND=tensorflow python make_keras_steps.py keras  out_keras.bin      (an environment with keras and tensorflow)
    python make_keras_steps.py torch out_torch.bin                                (an environment with torch)
    cat out_keras.bin out_torch.bin > keras_steps.bin

Ids, targets and initial weights are not stored: both sides draw them from Philox4x32-10, number for number as src/base/rng.c
does. For each case the file holds, little-endian:
    char name[32]; int32 bytes_per_number (8: float64, 4: float32); int32 tensors; int32 numbers that follow; int32 unused;
    100 losses; then for each tensor: the norm of w - w0, 8 signed sums of w - w0 (signs from Philox), and up to 64 elements of
    w - w0, evenly spaced. float32 cases are padded to an even count of numbers.
A signed sum of the errors has the errors' norm as its standard deviation, so that an error anywhere in a tensor shows.
"""
import struct
import sys

import numpy as np

STEPS, SUMS, SAMPLES, BATCHES = 100, 8, 64, 10
USER = 1 << 24   # RNG_USER


def philox(seed, stream, step, sample, block=0):
    """Philox4x32-10 for an array of sample numbers: [n, 4] words; layout of rng_philox."""
    sample = np.asarray(sample, np.uint64)
    m32 = np.uint64(0xFFFFFFFF)
    c0 = (np.uint64(stream) ^ (sample >> np.uint64(32))) & m32
    c1 = np.full_like(sample, step)
    c2 = sample & m32
    c3 = np.full_like(sample, block)
    k0, k1 = np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = ((p1 >> np.uint64(32)) ^ c1 ^ k0) & m32, p1 & m32, ((p0 >> np.uint64(32)) ^ c3 ^ k1) & m32, p0 & m32
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & m32, (k1 + np.uint64(0xBB67AE85)) & m32
    return np.stack([c0, c1, c2, c3], 1)


def uniform(seed, step, n):
    """rng_uniform numbers 0 … n-1 of key {seed, RNG_USER, step}."""
    words = philox(seed, USER, step, np.arange((n + 1) // 2)).reshape(-1, 2)[:n]
    return ((words[:, 0] << np.uint64(32) | words[:, 1]) >> np.uint64(11)).astype(np.float64) * 2.0**-53


# name: net, optimiser. Sizes: worked example as it is, the others small.
SMALL = dict(V=200, E=8, H=16, T=20, B=16)
WORKED = dict(V=1000, E=16, H=32, T=100, B=32)
CASES = {
    "worked": ("lstm", "adam", WORKED), "simple_rnn": ("simple_rnn", "adam", SMALL),
    "gru_reset_after": ("gru", "adam", SMALL), "gru_reset_before": ("gru0", "adam", SMALL),
    "bidirectional_masked": ("bi", "adam", SMALL), "bidirectional_sequences": ("bi_seq", "adam", SMALL),
    "conv1d_pool": ("conv", "adam", SMALL), "batch_norm": ("batch_norm", "adam", SMALL), "layer_norm": ("layer_norm", "adam", SMALL),
    "sgd": ("lstm", "sgd", SMALL), "momentum": ("lstm", "momentum", SMALL), "nesterov": ("lstm", "nesterov", SMALL),
    "rmsprop": ("lstm", "rmsprop", SMALL), "rmsprop_momentum": ("lstm", "rmsprop_momentum", SMALL),
    "adam": ("lstm", "adam", SMALL), "adamw": ("lstm", "adamw", SMALL), "adagrad": ("lstm", "adagrad", SMALL),
    "clipvalue": ("lstm", "clipvalue", SMALL), "clipnorm": ("lstm", "clipnorm", SMALL), "global_clipnorm": ("lstm", "global_clipnorm", SMALL),
    "accumulate": ("lstm", "accumulate", SMALL), "ema": ("lstm", "ema", SMALL), "softmax": ("softmax", "adam", SMALL),
}
TORCH = {"torch_" + o: ("lstm", o, SMALL) for o in
         ("sgd", "momentum", "nesterov", "momentum_decay", "rmsprop", "rmsprop_momentum", "adam", "adam_decay", "adamw", "adagrad")}
CLASSES = 5


def data(seed, d):
    """Pre-padded ids [N,T], targets [N]: 0/1, or a class number for the softmax case."""
    n = BATCHES * d["B"]
    length = 3 + np.floor(uniform(seed, 1, n) * (d["T"] - 2)).astype(np.int64)
    ids = 1 + np.floor(uniform(seed, 2, n * d["T"]) * (d["V"] - 1)).astype(np.int32).reshape(n, d["T"])
    ids[np.arange(d["T"])[None, :] < (d["T"] - length)[:, None]] = 0
    return ids, np.floor(uniform(seed, 3, n) * 2), np.floor(uniform(seed, 4, n) * CLASSES).astype(np.int32)


def start(seed, i, shape):
    """Initial weights: matrices uniform within 1/sqrt(rows), vectors within .1."""
    n = int(np.prod(shape))
    limit = .1 if len(shape) == 1 else 1 / np.sqrt(float(np.prod(shape[:-1])))
    return ((2 * uniform(seed, 100 + i, n) - 1) * limit).reshape(shape)


def write(out, name, dtype, losses, before, after, seed):
    size = np.dtype(dtype).itemsize
    numbers = list(losses)
    for i, (a, b) in enumerate(zip(before, after)):
        delta = (np.asarray(b, np.float64) - np.asarray(a, np.float64)).ravel()
        numbers.append(np.sqrt(np.sum(delta**2)))
        for k in range(SUMS):
            sign = np.where(uniform(seed, 1000 + 16 * i + k, delta.size) < .5, -1.0, 1.0)
            numbers.append(np.sum(sign * delta))
        count = min(SAMPLES, delta.size)
        numbers.extend(delta[np.arange(count) * delta.size // count])
    numbers.extend([0.0] * (len(numbers) % 2))
    out.write(struct.pack("<32siiii", name.encode(), size, len(after), len(numbers), 0))
    out.write(np.asarray(numbers, np.float64).astype(np.dtype(dtype).newbyteorder("<")).tobytes())


def run_keras(path):
    import keras
    import tensorflow as tf
    from keras import layers as L

    # keras.ops.cast(0.9, "float64") goes through float32, so that Keras' float64 Adam and SGD would run with beta_1 = 0.89999998.
    # Python numbers are made float64 at once here.
    cast = keras.src.ops.cast
    keras.src.ops.cast = lambda x, dtype: tf.constant(x, dtype) if isinstance(x, float) else cast(x, dtype)

    def net(kind, d, dtype):
        x = i = keras.Input((d["T"],), dtype="int32")
        x = L.Embedding(d["V"], d["E"], mask_zero=kind.startswith("bi") or kind == "layer_norm")(x)
        h = d["H"]
        if kind in ("lstm", "softmax"): x = L.LSTM(h)(x)
        elif kind == "simple_rnn": x = L.SimpleRNN(h)(x)
        elif kind == "gru": x = L.GRU(h)(x)
        elif kind == "gru0": x = L.GRU(h, reset_after=False)(x)
        elif kind == "bi": x = L.Bidirectional(L.LSTM(h))(x)
        elif kind == "bi_seq":
            x = L.Bidirectional(L.LSTM(h, return_sequences=True))(x)
            x = L.GlobalAveragePooling1D()(x)
        elif kind == "conv":
            x = L.Conv1D(h, 5, activation="relu")(x)
            x = L.MaxPooling1D(2)(x)
            x = L.Conv1D(h, 3, padding="same", activation="tanh")(x)
            x = L.AveragePooling1D(2, strides=2, padding="same")(x)
            x = L.Concatenate()([L.GlobalMaxPooling1D()(x), L.GlobalAveragePooling1D()(x)])
        elif kind == "batch_norm":
            x = L.Conv1D(h, 3, padding="causal", use_bias=False)(x)
            x = L.BatchNormalization()(x)
            x = L.Flatten()(L.Activation("relu")(x))
            x = L.Dense(h, activation="elu")(x)
        elif kind == "layer_norm":
            x = L.LayerNormalization()(x)
            x = L.GRU(h, return_sequences=True)(x)
            x = L.GlobalAveragePooling1D()(x)
        if kind == "softmax": x = L.Dense(CLASSES, activation="softmax")(x)
        else: x = L.Dense(1, activation="sigmoid")(x)
        return keras.Model(i, x)

    def optimizer(kind):
        o = keras.optimizers
        return {"sgd": lambda: o.SGD(.05), "momentum": lambda: o.SGD(.05, momentum=.9), "nesterov": lambda: o.SGD(.05, momentum=.9, nesterov=True),
                "rmsprop": lambda: o.RMSprop(.002), "rmsprop_momentum": lambda: o.RMSprop(.002, momentum=.8), "adam": lambda: o.Adam(.002),
                "adamw": lambda: o.AdamW(.002), "adagrad": lambda: o.Adagrad(.02), "clipvalue": lambda: o.SGD(.05, momentum=.9, clipvalue=.002),
                "clipnorm": lambda: o.SGD(.05, momentum=.9, clipnorm=.02), "global_clipnorm": lambda: o.SGD(.05, momentum=.9, global_clipnorm=.05),
                "accumulate": lambda: o.Adam(.002, gradient_accumulation_steps=4), "ema": lambda: o.Adam(.002, use_ema=True, ema_momentum=.95)}[kind]()

    with open(path, "wb") as out:
        for dtype in ("float64", "float32"):
            keras.config.set_floatx(dtype)
            for seed, (name, (kind, opt, d)) in enumerate(CASES.items()):
                ids, binary, classes = data(seed, d)
                model, o = net(kind, d, dtype), optimizer(opt)
                variables = [v for v in model.weights if "seed" not in v.path]
                before = [start(seed, i, v.shape) for i, v in enumerate(variables)]
                for v, w in zip(variables, before):
                    if "moving_variance" in v.path: w += 1
                    v.assign(w.astype(dtype))
                o.build(model.trainable_variables)
                loss_of = keras.losses.SparseCategoricalCrossentropy() if kind == "softmax" else keras.losses.BinaryCrossentropy()

                @tf.function
                def step(x, y):
                    with tf.GradientTape() as tape:
                        loss = loss_of(y, model(x, training=True))
                    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
                    gradients = [tf.convert_to_tensor(g) for g in gradients]
                    o.apply(gradients, model.trainable_variables)
                    return loss

                losses = []
                for s in range(STEPS):
                    at = s % BATCHES * d["B"]
                    rows = slice(at, at + d["B"])
                    y = classes[rows] if kind == "softmax" else binary[rows, None].astype(dtype)
                    losses.append(float(step(tf.constant(ids[rows]), tf.constant(y))))
                if opt == "ema": o.finalize_variable_values(model.trainable_variables)
                after = [np.asarray(v) for v in variables]
                write(out, name, dtype, losses, [b.astype(dtype) for b in before], after, seed)
                print(dtype, name, losses[0], losses[-1], flush=True)


def run_torch(path):
    import torch
    torch.set_num_threads(1)

    def optimizer(kind, p):
        o = torch.optim
        return {"sgd": lambda: o.SGD(p, .05), "momentum": lambda: o.SGD(p, .05, momentum=.9), "nesterov": lambda: o.SGD(p, .05, momentum=.9, nesterov=True),
                "momentum_decay": lambda: o.SGD(p, .05, momentum=.9, weight_decay=.01), "rmsprop": lambda: o.RMSprop(p, .002),
                "rmsprop_momentum": lambda: o.RMSprop(p, .002, momentum=.8), "adam": lambda: o.Adam(p, .002),
                "adam_decay": lambda: o.Adam(p, .002, weight_decay=.01), "adamw": lambda: o.AdamW(p, .002), "adagrad": lambda: o.Adagrad(p, .02)}[kind]()

    with open(path, "wb") as out:
        for dtype in ("float64", "float32"):
            real = getattr(torch, dtype)
            for seed, (name, (_, opt, d)) in enumerate(TORCH.items(), 100):
                ids, binary, _ = data(seed, d)
                e, h = d["E"], d["H"]
                shapes = [(d["V"], e), (e, 4 * h), (h, 4 * h), (4 * h,), (h, 1), (1,)]
                before = [start(seed, i, s).astype(dtype) for i, s in enumerate(shapes)]
                p = [torch.tensor(b, dtype=real, requires_grad=True) for b in before]
                o = optimizer(opt, p)
                losses = []
                for s in range(STEPS):
                    at = s % BATCHES * d["B"]
                    x = torch.tensor(ids[at:at + d["B"]].astype(np.int64))
                    y = torch.tensor(binary[at:at + d["B"]], dtype=real)
                    z = p[0][x] @ p[1] + p[3]
                    hid = cell = torch.zeros(d["B"], h, dtype=real)
                    for t in range(d["T"]):
                        i, f, c, q = (z[:, t] + hid @ p[2]).split(h, 1)
                        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(c)
                        hid = torch.sigmoid(q) * torch.tanh(cell)
                    loss = torch.nn.functional.binary_cross_entropy_with_logits((hid @ p[4] + p[5])[:, 0], y)
                    o.zero_grad()
                    loss.backward()
                    o.step()
                    losses.append(float(loss))
                write(out, name, dtype, losses, before, [v.detach().numpy() for v in p], seed)
                print(dtype, name, losses[0], losses[-1], flush=True)


if __name__ == "__main__":
    run_keras(sys.argv[2]) if sys.argv[1] == "keras" else run_torch(sys.argv[2])
