"""Batches of images of one shape."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.data.batching.bucketing import make_row_table
from tfpar.data.batching.stream import as_dataset
from tfpar.data.images.augment import apply_steps
from tfpar.data.images.dataset import LabeledImages
from tfpar.errors import UserError


def image_batches(
    split: LabeledImages,
    *,
    batch_size: int,
    shuffle: bool,
    seed: int = 0,
    replicas: int = 1,
    first_epoch: int = 0,
    augment: Sequence[Any] = (),
) -> Any:
    """Feed a split as a tf.data.Dataset of known cardinality.

    Every batch has `batch_size` rows. Filling rows have weight 0: a weighted loss or metric sees each example exactly
    once an epoch. Each new iterator is the next epoch; its order and its augmentation depend on `seed` and its number
    alone, not on how many replicas share the batches.

    Args:
        split: the images; one at least.
        batch_size: rows per batch over all replicas.
        shuffle: order the examples anew in each epoch.
        seed: of the order and of the augmentation; 0 or more.
        replicas: `batch_size` must be a multiple of it.
        first_epoch: number of the first iterator's epoch, to go on with after a restart.
        augment: steps from `tfpar.data.images.augment`, in their order.

    Returns:
        Dataset of (images float32 (batch, height, width, channels) from 0 to 255, labels int32 (batch,), weights
        float32 (batch,)).

    Raises:
        UserError: `batch_size` is not a multiple of `replicas`, or not positive.
    """
    if replicas < 1 or batch_size < 1 or batch_size % replicas:
        raise UserError(
            f"`batch_size` is over all replicas and must be a positive multiple of their number; got "
            f"batch_size={batch_size}, replicas={replicas}"
        )
    batches = -(-len(split) // batch_size)
    epochs = iter(range(first_epoch, np.iinfo(np.int32).max))

    def next_plan():
        epoch = next(epochs)
        order = np.random.default_rng([seed, epoch]).permutation(len(split)) if shuffle else np.arange(len(split))
        plan = [(0, order[begin : begin + batch_size]) for begin in range(0, len(split), batch_size)]
        return (epoch * batches + np.arange(batches)).astype(np.int32), make_row_table(plan, batch_size)

    dataset = as_dataset(next_plan, _batch_maker(split, batch_size), batches, batch_size)
    return apply_steps(dataset, augment, seed)


def _batch_maker(split: LabeledImages, batch_size: int):
    """Make a function from a batch's number and rows to the number and images, labels and weights."""
    import tensorflow as tf

    images, labels = tf.constant(split.images), tf.constant(split.labels)

    def make(number, rows):
        examples, is_filling = tf.maximum(rows, 0), rows < 0
        batch = tf.cast(tf.gather(images, examples), tf.float32)
        batch = tf.ensure_shape(batch, [batch_size, *split.images.shape[1:]])
        return number, (batch, tf.gather(labels, examples), tf.cast(~is_filling, tf.float32))

    return make
