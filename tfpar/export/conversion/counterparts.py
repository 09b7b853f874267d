"""This package's counterparts of stock Keras recurrent layers, on the same variables."""

import contextlib
from collections.abc import Iterator

import keras

from tfpar.contexts import attributes_set
from tfpar.layers import GRU, LSTM, Bidirectional, SimpleRNN
from tfpar.layers.recurrent.base import RecurrentLayer

_OURS = {keras.layers.LSTM: LSTM, keras.layers.GRU: GRU, keras.layers.SimpleRNN: SimpleRNN}


def counterpart(layer: keras.layers.Layer) -> RecurrentLayer | Bidirectional | None:
    """Make this package's layer on the variables of a built stock layer; None if there is no counterpart."""
    if type(layer) is keras.layers.Bidirectional:
        return _bidirectional(layer)
    ours = _OURS.get(type(layer))
    if ours is None:
        return None
    made = ours(**_arguments(layer))
    _share_weights(made, layer)
    return made


@contextlib.contextmanager
def using_counterparts(pairs: list[tuple]) -> Iterator[None]:
    """Compute each stock layer by its counterpart within this context.

    Args:
        pairs: stock layers and their counterparts.
    """
    with contextlib.ExitStack() as stack:
        for layer, ours in pairs:
            stack.enter_context(attributes_set(layer, {"call": ours.call}))
        yield


def _bidirectional(layer):
    forward, backward = counterpart(layer.forward_layer), counterpart(layer.backward_layer)
    if forward is None or backward is None:
        return None
    made = Bidirectional(
        forward,
        merge_mode=layer.merge_mode,
        backward_layer=backward,
        name=layer.name,
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
    )
    _share_weights(made.forward_layer, layer.forward_layer)
    made.built = True
    return made


def _arguments(layer) -> dict:
    """Collect constructor arguments, with the cell's own objects, since unregistered ones cannot be deserialized."""
    arguments = dict(layer.get_config())
    for name in arguments:
        if hasattr(layer.cell, name) and name not in ("name", "dtype", "trainable"):
            arguments[name] = getattr(layer.cell, name)
    return {**arguments, "dtype": layer.dtype_policy, "activity_regularizer": layer.activity_regularizer}


def _share_weights(made, layer):
    cell = layer.cell
    made.adopt_weights(cell.kernel, cell.recurrent_kernel, cell.bias if cell.use_bias else None, layer.states)
