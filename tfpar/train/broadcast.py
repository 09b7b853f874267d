"""What one replica has, sent to all replicas, also to those in other processes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.replica import local_components
from tfpar.train.sharding import ShardedStrategy

_WORD_BYTES = 8


def run_on_replicas(strategy: ShardedStrategy, function: Callable, tensor: tf.Tensor) -> tf.Tensor:
    """Run `function(tensor)` in each replica, and return the result of this process' first one."""
    # An all-reduce takes only tensors that were made in the replica.
    return strategy.first_result(strategy.run_without_batch(lambda: function(tf.identity(tensor))))


def broadcast_bytes(strategy: ShardedStrategy, content: bytes) -> bytes:
    """Return the chief's `content` on all workers."""
    length = _broadcast(strategy, np.array([len(content)], np.int64))[0]
    words = -(-int(length) // _WORD_BYTES)
    padded = content.ljust(words * _WORD_BYTES, b"\0")[: words * _WORD_BYTES]
    return _broadcast(strategy, np.frombuffer(padded, np.int64)).tobytes()[: int(length)]


def _broadcast(strategy, array):
    def send(tensor):
        return all_reduce_sum(tf.where(is_first_replica(), tensor, tf.zeros_like(tensor)))

    function = tf.function(lambda tensor: run_on_replicas(strategy, send, tensor), autograph=False)
    return function(tf.constant(array)).numpy()


def is_first_replica() -> tf.Tensor:
    """Return whether this is the chief's first replica, a bool scalar; called in a replica."""
    return tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)


def gather_components(strategy: ShardedStrategy, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Return the components of all replicas, also of those in other processes: (replicas, ...) for each variable."""
    count = strategy.num_replicas_in_sync

    def gather(_):
        replica: Any = tf.distribute.get_replica_context().replica_id_in_sync_group
        with local_components(variables):
            values = [tf.convert_to_tensor(variable.value) for variable in variables]
        rows = tf.equal(tf.range(count), replica)
        return all_reduce_sum([_put_in_row(value, rows) for value in values])

    function = tf.function(
        lambda: tf.nest.map_structure(
            strategy.first_result, strategy.run_without_batch(lambda: gather(None)), expand_composites=False
        ),
        autograph=False,
    )
    return [tensor.numpy() for tensor in function()]


def _put_in_row(value, rows):
    rows = tf.reshape(rows, [-1, *[1] * value.shape.rank])
    return tf.where(rows, value[None], tf.zeros_like(value[None]))
