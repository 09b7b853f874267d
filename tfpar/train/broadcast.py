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


class Broadcast:
    """Function that returns the chief's bytes on all workers, each of which calls it.

    Args:
        strategy: of several workers.
    """

    def __init__(self, strategy: ShardedStrategy):
        def send(tensor):
            return all_reduce_sum(tf.where(is_first_replica(), tensor, tf.zeros_like(tensor)))

        self._send = tf.function(lambda tensor: run_on_replicas(strategy, send, tensor), autograph=False)

    def __call__(self, content: bytes) -> bytes:
        length = int(self._send(tf.constant([len(content)], tf.int64))[0])
        words = 1 << (max(1, -(-length // _WORD_BYTES)) - 1).bit_length()  # few shapes, each of which is traced once
        padded = content.ljust(words * _WORD_BYTES, b"\0")[: words * _WORD_BYTES]
        return self._send(tf.constant(np.frombuffer(padded, np.int64))).numpy().tobytes()[:length]


def is_first_replica() -> tf.Tensor:
    """Return whether this is the chief's first replica, a bool scalar; called in a replica."""
    return tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)


def make_gather(strategy: ShardedStrategy, variables: Sequence[keras.Variable]) -> Callable[[], list[tf.Tensor]]:
    """Make a function that returns the components of all replicas: (replicas, ...) for each variable.

    All workers must call it.
    """

    def gather():
        replica: Any = tf.distribute.get_replica_context().replica_id_in_sync_group
        with local_components(variables):
            values = [tf.identity(variable.value) for variable in variables]
        rows = tf.equal(tf.range(strategy.num_replicas_in_sync), replica)
        return all_reduce_sum([_put_in_row(value, rows) for value in values])

    def gather_here():
        return [strategy.first_result(tensor) for tensor in strategy.run_without_batch(gather)]

    return tf.function(gather_here, autograph=False)


def _put_in_row(value, rows):
    rows = tf.reshape(rows, [-1, *[1] * value.shape.rank])
    return tf.where(rows, value[None], tf.zeros_like(value[None]))
