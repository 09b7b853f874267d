"""The conformance table: one row per configuration of a recurrent layer, built from tfpar's layers or from Keras'."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

BATCH, TIME, FEATURES, UNITS = 4, 5, 4, 3


@dataclasses.dataclass(frozen=True)
class Row:
    """Attributes:
    name: of the row.
    make: (a module with recurrent layers, **arguments) -> layer.
    states: how many states the layer has; 0: it neither takes nor returns any.
    wrapped: the arguments go to a layer inside a wrapper, which settles directions and zero outputs itself.
    """

    name: str
    make: Callable
    states: int
    wrapped: bool = False

    def __str__(self):
        return self.name


def _bidirectional(inner, merge_mode):
    def make(layers, **arguments):
        return layers.Bidirectional(inner(layers, **arguments), merge_mode=merge_mode)

    return make


def _stacked(layers, **arguments):
    first = {name: arguments[name] for name in ("dtype", "unroll") if name in arguments}
    return keras.Sequential([layers.LSTM(UNITS, return_sequences=True, **first), layers.GRU(UNITS, **arguments)])


def _lstm(layers, **arguments):
    return layers.LSTM(UNITS, **arguments)


def _gru(layers, **arguments):
    return layers.GRU(UNITS, **arguments)


def _gru_reset_before(layers, **arguments):
    return layers.GRU(UNITS, reset_after=False, **arguments)


def _simple_rnn(layers, **arguments):
    return layers.SimpleRNN(UNITS, **arguments)


SINGLE = [
    Row("simple_rnn", _simple_rnn, 1),
    Row("lstm", _lstm, 2),
    Row("gru", _gru, 1),
    Row("gru_reset_before", _gru_reset_before, 1),
]
BIDIRECTIONAL = [
    Row("bidirectional_concat", _bidirectional(_lstm, "concat"), 4, wrapped=True),
    Row("bidirectional_sum", _bidirectional(_gru, "sum"), 2, wrapped=True),
    Row("bidirectional_ave", _bidirectional(_simple_rnn, "ave"), 2, wrapped=True),
    Row("bidirectional_mul", _bidirectional(_gru_reset_before, "mul"), 2, wrapped=True),
    Row("bidirectional_both", _bidirectional(_lstm, None), 4, wrapped=True),
]
STACKED = [Row("stacked", _stacked, 0, wrapped=True)]
ROWS = SINGLE + BIDIRECTIONAL + STACKED


def inputs(seed=0, batch=BATCH, time=TIME):
    return np.random.default_rng(seed).normal(size=(batch, time, FEATURES)).astype("float32")


def states(count, seed=1):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=(BATCH, UNITS)).astype("float32") for _ in range(count)]


MASKS = {
    "no_mask": None,
    # Right-padded; with holes; nothing valid; nothing masked.
    "masked": np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool),
}


def built(row, layers, **arguments):
    """A layer of the row with random weights and biases, the same for each module of layers."""
    layer = row.make(layers, **arguments)
    layer.build((BATCH, TIME, FEATURES))
    generator = np.random.default_rng(2)
    layer.set_weights([generator.normal(0, 0.5, w.shape) for w in layer.weights])
    return layer
