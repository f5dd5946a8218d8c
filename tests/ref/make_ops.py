#!/usr/bin/env python3
"""Reference values of ops from Keras in float64: tests/ref/ops.txt, read by tests/test_ops_keras.c.

Run with Keras on TensorFlow: KERAS_BACKEND=tensorflow python make_ops.py > ops.txt

A case is a line `case NAME`, then arrays: `KEY rank dims... values...`. Inputs x, parameters w, b, ..., the output y, a cotangent c
and gradients dx, dw, ... of L = sum(y * c) / B.
"""
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf

keras.config.set_floatx("float64")
rng = np.random.default_rng(11)
B = 3


def emit(key, a):
    a = np.asarray(a)
    values = (repr(float(v)) if a.dtype.kind == "f" else str(int(v)) for v in a.reshape(-1))
    print(key, a.ndim, *a.shape, *values)


def case(name, f, arrays, fixed=()):
    """f(dict of tensors) -> y; arrays: differentiated inputs; fixed: others."""
    print("case", name)
    variables = {k: tf.Variable(np.asarray(v, "float64")) for k, v in arrays.items()}
    others = {k: tf.constant(v) for k, v in dict(fixed).items()}
    with tf.GradientTape() as tape:
        y = f({**variables, **others})
        c = rng.normal(size=y.shape)
        loss = tf.reduce_sum(y * c) / y.shape[0]
    grads = tape.gradient(loss, list(variables.values()))
    for k, v in {**variables, **others}.items():
        emit(k, v.numpy())
    emit("y", y.numpy())
    emit("c", c)
    for k, g in zip(variables, grads):
        emit("d" + k, tf.convert_to_tensor(g).numpy())


def normal(*shape):
    return rng.normal(size=shape)


ops = keras.ops
# --- convolution: time, channels, kernel, filters, stride, dilation, padding
for name, T, C, K, M, stride, dilation, padding in [
    ("conv_valid", 9, 3, 3, 4, 1, 1, "valid"),
    ("conv_same", 7, 2, 4, 3, 1, 1, "same"),
    ("conv_same_stride", 10, 3, 5, 2, 3, 1, "same"),
    ("conv_valid_stride", 11, 2, 2, 3, 4, 1, "valid"),
    ("conv_causal", 8, 2, 3, 3, 1, 2, "causal"),
    ("conv_same_dilated", 9, 2, 3, 2, 1, 3, "same"),
]:
    def f(a, stride=stride, dilation=dilation, padding=padding, K=K):
        x, mode = a["x"], padding
        if padding == "causal":  # as keras.layers.BaseConv does
            x, mode = ops.pad(x, [[0, 0], [dilation * (K - 1), 0], [0, 0]]), "valid"
        return ops.conv(x, a["w"], strides=stride, padding=mode, dilation_rate=dilation, data_format="channels_last") + a["b"]

    case(name, f, {"x": normal(B, T, C), "w": normal(K, C, M), "b": normal(M)})

# --- pooling
for name, T, size, stride, padding, average in [
    ("pool_max", 7, 2, 2, "valid", False),
    ("pool_max_same", 8, 3, 2, "same", False),
    ("pool_average", 6, 3, 1, "valid", True),
    ("pool_average_same", 7, 4, 3, "same", True),
]:
    layer = (keras.layers.AveragePooling1D if average else keras.layers.MaxPooling1D)(size, stride, padding)
    case(name, lambda a, layer=layer: layer(a["x"]), {"x": normal(B, T, 3)})
ties = normal(B, 5, 3)
ties[:, 3] = ties[:, 1] = 9.0
case("global_max_ties", lambda a: keras.layers.GlobalMaxPooling1D()(a["x"]), {"x": ties})
case("global_average", lambda a: keras.layers.GlobalAveragePooling1D()(a["x"]), {"x": normal(B, 5, 3)})
mask = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]], "int32")
case("global_average_masked", lambda a: keras.layers.GlobalAveragePooling1D()(a["x"], mask=tf.cast(a["mask"], "bool")),
     {"x": normal(B, 5, 3)}, {"mask": mask})

# --- norms
def layer_norm(a):
    mean = ops.mean(a["x"], -1, keepdims=True)
    var = ops.var(a["x"], -1, keepdims=True)
    return (a["x"] - mean) / ops.sqrt(var + 1e-3) * a["gain"] + a["bias"]


x, gain, bias = normal(B, 4, 6), normal(6), normal(6)
layer = keras.layers.LayerNormalization()
layer.build(x.shape)
layer.gamma.assign(gain)
layer.beta.assign(bias)
case("layer_norm", layer_norm, {"x": x, "gain": gain, "bias": bias})
emit("keras", layer(x).numpy())  # the layer itself; its gradients are those of the formula above

layer = keras.layers.BatchNormalization(momentum=0.99)
layer.build(x.shape)
mean, var = normal(6), rng.uniform(0.5, 2, 6)
for v, value in zip([layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance], [gain, bias, mean, var]):
    v.assign(value)


def batch_norm(a):
    m = tf.reduce_mean(a["x"], [0, 1])
    v = tf.reduce_mean((a["x"] - m) ** 2, [0, 1])
    return (a["x"] - m) / tf.sqrt(v + 1e-3) * a["gain"] + a["bias"]


infer = layer(x, training=False).numpy()
train = layer(x, training=True).numpy()
case("batch_norm", batch_norm, {"x": x, "gain": gain, "bias": bias}, {"mean": mean, "var": var})
emit("keras", train)
emit("infer", infer)
emit("new_mean", layer.moving_mean.numpy())
emit("new_var", layer.moving_variance.numpy())

# --- losses: one number for each row
none = {"reduction": None}
p2, y2 = rng.uniform(0.02, 0.98, (B, 2)), rng.integers(0, 2, (B, 2)).astype("float64")
p5 = rng.uniform(0.1, 1, (B, 5))
y5 = np.eye(5)[[0, 3, 4]]
n5 = np.array([0, 3, 4], "int32")
L = keras.losses
for name, loss, p, y in [
    ("bce_logits", L.BinaryCrossentropy(from_logits=True, **none), 3 * normal(B, 2), y2),
    ("bce_logits_smooth", L.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, **none), 3 * normal(B, 2), y2),
    ("bce", L.BinaryCrossentropy(**none), p2, y2),
    ("ce_logits", L.CategoricalCrossentropy(from_logits=True, **none), 3 * normal(B, 5), y5),
    ("ce_logits_smooth", L.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2, **none), 3 * normal(B, 5), y5),
    ("ce_sparse", L.SparseCategoricalCrossentropy(from_logits=True, **none), 3 * normal(B, 5), n5),
    ("ce", L.CategoricalCrossentropy(**none), p5, y5),
    ("ce_smooth", L.CategoricalCrossentropy(label_smoothing=0.2, **none), p5, y5),
    ("mse", L.MeanSquaredError(**none), normal(B, 4), normal(B, 4)),
    ("mae", L.MeanAbsoluteError(**none), normal(B, 4), normal(B, 4)),
    ("huber", L.Huber(delta=0.7, **none), 2 * normal(B, 4), normal(B, 4)),
    ("focal", L.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.25, gamma=2.0, from_logits=True, **none), 2 * normal(B, 2), y2),
    ("focal_plain", L.BinaryFocalCrossentropy(gamma=1.5, from_logits=True, label_smoothing=0.1, **none), 2 * normal(B, 2), y2),
    ("poisson", L.Poisson(**none), rng.uniform(0.5, 3, (B, 4)), rng.integers(0, 5, (B, 4)).astype("float64")),
]:
    case(name, lambda a, loss=loss: loss(a["t"], a["x"]), {"x": p}, {"t": y})

# --- activations
A = keras.activations


# TensorFlow rounds gelu's constants to float32 (errors of 1e-9 in float64); these are the formulas themselves.
def gelu(v):
    return 0.5 * v * (1 + tf.math.erf(v / np.sqrt(2.0)))


def gelu_tanh(v):
    return 0.5 * v * (1 + tf.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)))


for name, act in [("sigmoid", A.sigmoid), ("tanh", A.tanh), ("relu", A.relu), ("gelu", gelu),
                  ("gelu_tanh", gelu_tanh), ("silu", A.silu), ("elu", A.elu), ("softplus", A.softplus),
                  ("softmax", A.softmax)]:
    case("act_" + name, lambda a, act=act: act(a["x"]), {"x": 3 * normal(B, 7)})
