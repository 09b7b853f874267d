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
from tfpar.train.replica_mesh import ReplicaMesh

_SEED_STRIDE = 0x9E3779B1  # 2**32 divided by the golden ratio, a prime: the seeds of slices are far apart


@contextlib.contextmanager
def seeds_of_replicas(layers: Iterable[tuple[keras.layers.Layer, bool]], mesh: ReplicaMesh) -> Iterator[None]:
    """Within this context random layers draw other numbers for other rows, and for other slices of the time axis.

    Args:
        layers: of Keras, with a `seed_generator`; each with whether it draws numbers for each step.
        mesh: of the replicas.
    """
    with contextlib.ExitStack() as stack:
        for layer, is_of_steps in layers:
            next_seed = functools.partial(_next_seed, layer.seed_generator.next, mesh, is_of_steps)
            stack.enter_context(attributes_set(layer.seed_generator, {"next": next_seed}))
        yield


def _next_seed(next_seed: Callable, mesh: ReplicaMesh, is_of_steps: bool, *args, **kwargs) -> tf.Tensor:
    group, index = mesh.position()
    stream = group * mesh.slices + (index if is_of_steps else 0)
    seed = next_seed(*args, **kwargs)
    return seed + tf.constant([stream * _SEED_STRIDE, 0], seed.dtype)
