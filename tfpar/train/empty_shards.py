"""Convolution and pooling of a replica without rows, where a batch has fewer rows than there are replicas.

On CPUs where TensorFlow computes them by oneDNN, a convolution gives no rows a wrong shape, that of its
inputs, and the gradient of a maximum ends the process.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfpar.contexts import attributes_set

_OPERATIONS = ("convolution", "max_pool", "avg_pool")


@contextlib.contextmanager
def operations_of_no_rows() -> Iterator[None]:
    """Within this context these operations of `tf.nn`, which Keras calls, take inputs without rows, too."""
    wrapped = {name: functools.partial(_call, getattr(tf.nn, name)) for name in _OPERATIONS}
    with attributes_set(tf.nn, wrapped):
        yield


def _call(operation: Callable, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Run an operation on a row of zeros instead of no rows, and return no rows."""
    input = tf.convert_to_tensor(input)
    if input.shape[0]:
        return operation(input, *args, **kwargs)
    rows = tf.shape(input)[0]
    added = tf.cast(tf.equal(rows, 0), tf.int32)
    padded = tf.pad(input, [[0, added], *[[0, 0]] * (input.shape.rank - 1)])
    return operation(tf.ensure_shape(padded, [None, *input.shape[1:]]), *args, **kwargs)[:rows]
