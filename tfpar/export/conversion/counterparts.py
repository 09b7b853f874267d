"""This package's counterparts of stock Keras recurrent layers, on the same variables."""

import contextlib
from collections.abc import Iterator

import keras

from tfpar.contexts import attributes_set
from tfpar.layers import Bidirectional
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.cells import COUNTERPARTS, convert_stock_layer, share_weights


def counterpart(layer: keras.layers.Layer) -> RecurrentLayer | Bidirectional | None:
    """Make this package's layer on the variables of a built stock layer; None if there is no counterpart."""
    if type(layer) is keras.layers.Bidirectional:
        return _bidirectional(layer)
    return convert_stock_layer(layer) if type(layer) in COUNTERPARTS else None


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
    share_weights(made.forward_layer, layer.forward_layer)
    made.built = True
    return made
