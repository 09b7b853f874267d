"""Feeds and times epochs of given batches."""

import time
from collections.abc import Callable, Sequence


def dataset_of(batches: Sequence, shapes: Sequence[tuple]):
    """Make a dataset that yields given batches in order.

    Args:
        batches: of NumPy arrays, all with the same nesting.
        shapes: of the arrays, flat; None: any size.
    """
    import tensorflow as tf

    dtypes = [array.dtype for array in tf.nest.flatten(batches[0])]

    def batch(number):
        flat = tf.numpy_function(lambda n: tf.nest.flatten(batches[n]), [number], dtypes)
        return tf.nest.pack_sequence_as(batches[0], list(map(tf.ensure_shape, flat, shapes)))

    dataset = tf.data.Dataset.range(len(batches)).map(batch).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread delays the end of an epoch by up to seconds
    return dataset.with_options(options)


def seconds_per_epoch(run_epoch: Callable[[], object], epochs: int) -> float:
    """Measure the mean time of an epoch in seconds, after one epoch of compilation and memory allocation."""
    run_epoch()
    start = time.perf_counter()
    for _ in range(epochs):
        run_epoch()
    return (time.perf_counter() - start) / epochs
