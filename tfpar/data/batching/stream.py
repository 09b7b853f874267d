"""`tf.data` pipelines of batches that Python plans."""

from collections.abc import Callable
from typing import Any

_SMALL_POOL_THREADS = 2
_PREFETCHED = 4


def as_dataset(next_plan: Callable[[], Any], make_batch: Any, batches: int, batch_size: int, then: Any = None) -> Any:
    """Make a dataset: Python plans an epoch, TensorFlow makes the batches, so that Python's thread is free for `fit`.

    Args:
        next_plan: called at each epoch's begin; gives int32 (batches,), what is to know of each batch, and int64
            (batches, batch_size), its examples.
        make_batch: from an entry of each to a batch, in TensorFlow.
        batches: of an epoch.
        batch_size: width of the plan.
        then: Dataset -> Dataset, what else happens to the batches; None: nothing.

    Returns:
        Dataset of known cardinality; each new iterator is a new epoch.
    """
    import tensorflow as tf

    def plan(_):
        planned, rows = tf.numpy_function(next_plan, [], (tf.int32, tf.int64))
        return tf.ensure_shape(planned, [batches]), tf.ensure_shape(rows, [batches, batch_size])

    # Not `from_generator`: it tells malloc to give memory back to the system at each turn, for the whole process, and
    # a training step then spends a tenth of its time on page faults.
    dataset = tf.data.Dataset.from_tensors(0).map(plan).flat_map(lambda *p: tf.data.Dataset.from_tensor_slices(p))
    dataset = dataset.map(make_batch)
    if then is not None:
        dataset = then(dataset)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches)).prefetch(_PREFETCHED)
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    # There is nothing to tune, and an iterator's end waits for the tuner's thread, which sleeps for longer and longer:
    # 0.01 s, 0.02 s ... 1.3 s ... 60 s.
    options.autotune.enabled = False
    options.threading.private_threadpool_size = _SMALL_POOL_THREADS  # the cores are the model's
    return dataset.with_options(options)
