"""Augmentation of image batches: steps from dataset to dataset, whose random numbers come from a seed and a place.

A numbered dataset has elements (number, (images, labels, weights)): the number of the batch, counted over all epochs,
int32, and images float32 (batch, height, width, channels) from 0 to 255. A step changes the images. What it draws
depends on the seed, on the batch's number and on the step's place among the steps, and on nothing else.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

_PREFETCHED = 4


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of augmentation.

    Attributes:
        name: what it does.
        change: (images, seed int32 (2,)) -> images.
    """

    name: str
    change: Callable

    def __call__(self, dataset, seed):
        """Change the images of a numbered dataset; `seed` is two integers, unique to the step."""
        import tensorflow as tf

        def changed(number, batch):
            images, *rest = batch
            # Each batch has a generator of its own: the seed of one number is hashed with the other.
            own = tf.random.split(tf.random.fold_in(tf.constant(seed, tf.int32), number), 2)[0]
            return number, (tf.ensure_shape(self.change(images, own), images.shape), *rest)

        return dataset.map(changed, num_parallel_calls=2, deterministic=True)


def apply_steps(dataset: Any, steps: Sequence[Step], seed: int) -> Any:
    """Apply steps in order to a numbered dataset, and remove the numbers.

    Args:
        dataset: of (number, (images, labels, weights)).
        steps: none at all leaves the images as they are.
        seed: of all random numbers; 0 or more.

    Returns:
        Dataset of (images, labels, weights).
    """
    for stream, step in enumerate(steps):
        dataset = step(dataset, (seed, stream))
    return dataset.map(lambda number, batch: batch).prefetch(_PREFETCHED)


def uniform(seed: Any, stream: int, shape: Any, low: float, high: float) -> Any:
    """Draw random numbers from `low` to `high`: float32 of `shape`; each `stream` is a separate stream."""
    import tensorflow as tf

    return tf.random.stateless_uniform(shape, tf.random.fold_in(seed, stream), low, high)
