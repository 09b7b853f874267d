"""Random layers of Keras where replicas divide the time axis: each slice has numbers of its own.

Keras' layers draw the numbers of a batch by their indices in the tensor that they are given, so slices of one shape
would have the same. Those of one device are no function of single steps that is cheap to compute; layers of this
package have one: see `tfpar.layers.dropout`.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator

import keras
import tensorflow as tf

from tfpar.contexts import attributes_set
from tfpar.layers.call_context import call_context

_SEED_STRIDE = 0x9E3779B1  # 2**32 divided by the golden ratio, a prime: the seeds of slices are far apart


@contextlib.contextmanager
def seeds_of_slices(layers: Iterable[keras.layers.Layer]) -> Iterator[None]:
    """Within this context random layers draw other numbers on each slice of the time axis.

    Args:
        layers: of Keras, with a `seed_generator`.
    """
    with contextlib.ExitStack() as stack:
        for layer in layers:
            next_seed = functools.partial(_next_seed_of_slice, layer.seed_generator.next)
            stack.enter_context(attributes_set(layer.seed_generator, {"next": next_seed}))
        yield


def _next_seed_of_slice(next_seed: Callable, *args, **kwargs) -> tf.Tensor:
    seed, time_slice = next_seed(*args, **kwargs), call_context().time_slice
    return seed if time_slice is None else seed + tf.constant([time_slice.index * _SEED_STRIDE, 0], seed.dtype)
