"""Oracles in NumPy of the cells that are linear in their state, and layers with random weights."""

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


CELLS = {"MinGRU": min_gru, "MinLSTM": min_lstm}


def make_layer(name, shape=(BATCH, TIME, FEATURES), **arguments):
    """Make a built layer with random weights and biases."""
    layer = getattr(layers, name)(UNITS, **arguments)
    layer.build(shape)
    generator = np.random.default_rng(2)
    layer.set_weights([generator.normal(0, 0.5, w.shape) for w in layer.weights])
    return layer


def draw_inputs(seed=0, batch=BATCH, time=TIME):
    return np.random.default_rng(seed).normal(size=(batch, time, FEATURES)).astype("float32")
