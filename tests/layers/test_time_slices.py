"""A layer on slices of the time axis equals the layer on whole sequences: outputs, states and gradients.

Threads stand for replicas: each has a slice, and they exchange tensors at a barrier.
"""

import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpar import layers
from tfpar.layers.call_context import call_context_with
from tfpar.ops.time_slice import TimeSlice

pytestmark = pytest.mark.timeout(120)

ROWS, TIME, FEATURES, UNITS = 3, 5, 2, 4
RANDOM = np.random.default_rng(0)
X = tf.constant(RANDOM.normal(size=(ROWS, TIME, FEATURES)), tf.float32)
LENGTHS = np.array([TIME, 0, 2])[:, None]
RIGHT = np.arange(TIME) < LENGTHS
MASKS = {
    "none": None,
    "right": RIGHT,
    "left": RIGHT[:, ::-1],
    "gaps": np.array([[1, 0, 1, 0, 1], [0, 0, 1, 0, 0], [0, 1, 1, 0, 0]]),
}


class Barrier:
    """Exchanges a tensor of each thread."""

    def __init__(self, count):
        self._barrier, self._tensors = threading.Barrier(count, timeout=60), [None] * count

    def __call__(self, index, tensor):
        self._tensors[index] = tensor
        self._barrier.wait()
        tensors = list(self._tensors)
        self._barrier.wait()
        return tensors


def run_layer(layer, x, mask, initial, begin, steps, states_weight):
    """Return outputs, states, and gradients of a sum over outputs and states with weights of their own."""
    with tf.GradientTape() as tape:
        tape.watch([x, *initial])
        outputs = layer(x, initial_state=initial or None, mask=mask)
        output, *states = outputs
        weights = (
            tf.cast(tf.range(begin, begin + steps) + 1, tf.float32)[None, :, None]
            if layer.return_sequences
            else states_weight
        )
        loss = tf.reduce_sum(output * weights) + sum(tf.reduce_sum(s**2) for s in states) * states_weight
    sources = [x, *initial, *(v.value for v in layer.trainable_variables)]
    return output, states, tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def run_slices(layer, mask, initial, count):
    """Run each slice in a thread, and join the results."""
    size, barrier = -(-TIME // count), Barrier(count)

    def run(index):
        begin = min(index * size, TIME)
        cut = slice(begin, begin + size)
        x = X[:, cut]
        time_slice = TimeSlice(index, count, begin, TIME, functools.partial(barrier, index))
        with call_context_with(time_slice=time_slice):
            own = None if mask is None else tf.constant(mask[:, cut])
            return run_layer(layer, x, own, initial, begin, x.shape[1], 1 / count)

    with ThreadPoolExecutor(count) as pool:
        outputs, states, gradients = zip(*pool.map(run, range(count)), strict=True)
    d_x, *others = zip(*gradients, strict=True)
    output = tf.concat(outputs, axis=1) if layer.return_sequences else outputs[-1]
    return output, states[0], [tf.concat(d_x, axis=1), *(tf.add_n(list(each)) for each in others)]


def assert_equal_to_whole(layer, mask, has_initial, count):
    mask = None if mask is None else mask.astype(bool)
    layer.build(X.shape)
    layer.built = True
    initial = (
        [tf.constant(RANDOM.normal(size=(ROWS, size)), tf.float32) for size in layer.state_size] if has_initial else []
    )
    whole = run_layer(layer, X, None if mask is None else tf.constant(mask), initial, 0, TIME, 1.0)
    divided = run_slices(layer, mask, initial, count)
    for actual, expected in zip(tf.nest.flatten(divided), tf.nest.flatten(whole), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


CELLS = {
    "min_gru": layers.MinGRU,
    "rg_lru": layers.RGLRU,
    "mlstm": functools.partial(layers.MLSTM, num_heads=2),
    "lstm": layers.LSTM,
    "gru": layers.GRU,
    "rnn": layers.SimpleRNN,
    "para_gru": layers.ParaGRU,
}
FAST = ("min_gru", "mlstm", "lstm")


@pytest.mark.parametrize("has_initial", [True, False], ids=["initial", "zeros"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cell", [pytest.param(c, marks=() if c in FAST else pytest.mark.slow) for c in CELLS])
def test_sequences_equal_those_of_one_device(cell, mask, has_initial):
    layer = CELLS[cell](UNITS, return_sequences=True, return_state=True)
    assert_equal_to_whole(layer, MASKS[mask], has_initial, count=2)


@pytest.mark.parametrize("zero_output", [True, False], ids=["zeros", "holds"])
@pytest.mark.parametrize("mask", ["left", "gaps"])
@pytest.mark.parametrize("cell", FAST)
def test_last_outputs_equal_those_of_one_device(cell, mask, zero_output):
    layer = CELLS[cell](UNITS, return_state=True, zero_output_for_mask=zero_output)
    assert_equal_to_whole(layer, MASKS[mask], True, count=2)


@pytest.mark.parametrize("count", [3, 4, 7], ids="{} slices".format)
@pytest.mark.parametrize("cell", FAST)
def test_any_number_of_slices(cell, count):
    """Of four slices the last has no steps; of seven, two have none."""
    layer = CELLS[cell](UNITS, return_sequences=True, return_state=True)
    assert_equal_to_whole(layer, MASKS["right"], True, count)


@pytest.mark.parametrize("cell", FAST)
def test_backwards(cell):
    layer = CELLS[cell](UNITS, return_sequences=True, return_state=True, go_backwards=True)
    layer.reverses_outputs = False  # as within Bidirectional
    assert_equal_to_whole(layer, MASKS["gaps"], True, count=3)


def test_dropout_of_slices_is_that_of_the_whole():
    layer = layers.Dropout(0.5, seed=1)
    whole = layer(tf.ones_like(X), training=True).numpy()
    for begin, end in ((0, 3), (3, 5)):
        time_slice = TimeSlice(begin // 3, 2, begin, TIME, lambda tensor: [tensor, tensor])
        again = layers.Dropout(0.5, seed=1)
        with call_context_with(time_slice=time_slice):
            own = again(tf.ones_like(X[:, begin:end]), training=True).numpy()
        np.testing.assert_array_equal(own, whole[:, begin:end])
    assert 0 < keras.ops.convert_to_numpy(whole).mean() < 2
