"""Ends training on a stop request, at the same step on all workers."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from tfpar.cluster import stop_request
from tfpar.cluster.multiworker import is_multiworker


class StopOnRequest(keras.callbacks.Callback):
    """Callback that ends the program with exit code 3 after SIGTERM or Ctrl-C, between two batches.

    All workers end after the same batch. Put it after the callbacks that save.
    """

    def on_train_begin(self, logs: dict | None = None) -> None:
        stop_request.begin_steps()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._stop_if_agreed()

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._stop_if_agreed()

    def on_train_end(self, logs: dict | None = None) -> None:
        stop_request.end_steps()

    def _stop_if_agreed(self):
        if stop_request.is_agreed():
            stop_request.stop()


@contextlib.contextmanager
def abandoned_at_failure() -> Iterator[None]:
    """Let stop requests no longer wait for a step if `fit` fails, when Keras calls no callback."""
    try:
        yield
    except BaseException:
        stop_request.abandon_steps()
        raise


def stop_terms() -> list[tf.Tensor]:
    """Return this replica's terms of the sum that `record_stops` takes; none if all replicas are in one process."""
    strategy = tf.distribute.get_strategy()
    if not is_multiworker(strategy) or isinstance(strategy, tf.distribute.TPUStrategy):
        return []
    requested = tf.numpy_function(lambda: np.float32(stop_request.count_requests()), [], tf.float32)
    return [tf.ensure_shape(requested, [])]


def record_stops(sums: list[tf.Tensor]) -> None:
    """Record on this worker whether any worker has a request, given the sums of their `stop_terms`."""
    for requests in sums:
        tf.numpy_function(lambda number: stop_request.record_agreement(float(number)), [requests], [])
