"""Oracles in NumPy of the cells that run in parallel over time, and layers with random weights."""

import numpy as np
from oracles import run_steps, sigmoid

from tfpar import layers

BATCH, TIME, FEATURES, UNITS = 4, 5, 4, 3


def positive(x):
    return np.where(x >= 0, x + 0.5, sigmoid(x))


def min_gru(x, kernel, bias=0.0, **options):
    def step(x_t, states):
        z, n = np.split(x_t @ kernel + bias, 2)
        return [(1 - sigmoid(z)) * states[0] + sigmoid(z) * positive(n)]

    return run_steps(step, x, [kernel.shape[1] // 2], **options)


def min_lstm(x, kernel, bias=0.0, **options):
    def step(x_t, states):
        f, i, n = np.split(x_t @ kernel + bias, 3)
        f, i = sigmoid(f), sigmoid(i)
        return [f / (f + i) * states[0] + i / (f + i) * positive(n)]

    return run_steps(step, x, [kernel.shape[1] // 3], **options)


def rg_lru(x, kernel, *weights, **options):
    bias, gate_kernel, gate_bias, decay = weights if len(weights) == 4 else (0.0, *weights)
    heads, size, _ = gate_kernel.shape

    def step(x_t, states):
        u = x_t @ kernel + bias
        gates = [np.split(u[n * size : (n + 1) * size] @ gate_kernel[n], 2) for n in range(heads)]
        r, i = (np.concatenate(gate) for gate in zip(*gates, strict=True))
        b_r, b_i = np.split(gate_bias, 2)
        a = np.exp(-8 * sigmoid(r + b_r) * np.log1p(np.exp(decay)))
        return [a * states[0] + np.sqrt(1 - a**2) * sigmoid(i + b_i) * u]

    return run_steps(step, x, [kernel.shape[1]], **options)


def mlstm(x, kernel, bias=0.0, *, heads=1, key_size=1, value_size=UNITS, **options):
    keys, values = heads * key_size, heads * value_size

    def step(x_t, states):
        ends = np.cumsum([keys, keys, values, values, heads])
        q, k, v, o, i, f = np.split(x_t @ kernel + bias, ends)
        q, k, v = (tensor.reshape(heads, -1) for tensor in (q, k, v))
        i, f = sigmoid(i)[:, None], sigmoid(f)[:, None]
        n = f * states[2].reshape(heads, key_size) + i * k
        c = f[..., None] * states[1].reshape(heads, key_size, value_size) + i[..., None] * k[:, :, None] * v[:, None]
        scale = key_size**-0.5
        divisor = np.maximum(np.abs(np.sum(q * n, axis=1, keepdims=True)) * scale, 1)
        h = np.einsum("hk,hkv->hv", q, c) * scale / divisor
        return [sigmoid(o) * h.reshape(-1), c.reshape(-1), n.reshape(-1)]

    return run_steps(step, x, [values, keys * value_size, keys], **options)


def para_gru(x, kernel, recurrent_kernel, bias=0.0, **options):
    a_z, a_r, a_n = recurrent_kernel

    def step(x_t, states):
        z, r, n = np.split(x_t @ kernel + bias, 3)
        z, r = sigmoid(z + a_z * states[0]), sigmoid(r + a_r * states[0])
        return [(1 - z) * states[0] + z * np.tanh(n + a_n * r * states[0])]

    return run_steps(step, x, [recurrent_kernel.shape[1]], **options)


def para_lstm(x, kernel, recurrent_kernel, bias=0.0, **options):
    a_f, a_g, a_o, c_f, c_o = recurrent_kernel

    def step(x_t, states):
        h, c = states
        f, g, o = np.split(x_t @ kernel + bias, 3)
        f = sigmoid(f + a_f * h + c_f * c)
        c = f * c + (1 - f) * np.tanh(g + a_g * h)
        return [sigmoid(o + a_o * h + c_o * c) * np.tanh(c), c]

    return run_steps(step, x, [recurrent_kernel.shape[1]] * 2, **options)


CELLS = {
    "MinGRU": min_gru,
    "MinLSTM": min_lstm,
    "RGLRU": rg_lru,
    "MLSTM": mlstm,
    "ParaGRU": para_gru,
    "ParaLSTM": para_lstm,
}
PARALLEL = {name: "newton" if name.startswith("Para") else "scan" for name in CELLS}  # the value of `evaluation`


def make_layer(name, shape=(BATCH, TIME, FEATURES), **arguments):
    """Make a built layer with random weights and biases."""
    layer = getattr(layers, name)(UNITS, **arguments)
    layer.build(shape)
    generator = np.random.default_rng(2)
    layer.set_weights([generator.normal(0, 0.5, w.shape) for w in layer.weights])
    return layer


def draw_states(layer, batch=BATCH):
    generator = np.random.default_rng(1)
    return [generator.normal(size=(batch, size)).astype("float32") for size in layer.state_size]


def draw_inputs(seed=0, batch=BATCH, time=TIME):
    return np.random.default_rng(seed).normal(size=(batch, time, FEATURES)).astype("float32")
