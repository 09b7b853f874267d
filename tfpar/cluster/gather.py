"""Gathers TensorFlow's tensors from the workers of one host, in shared memory."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfpar.cluster.shared_memory import SharedMemoryCollectives


class TensorGather:
    """Function of a tensor that returns the tensors of workers, in their order.

    All workers call it alike. The tensors are of one dtype and rank, and of any numeric dtype.

    Args:
        collectives: of the workers.
        workers: their number.
        members: indices of the workers whose tensors are returned; None: all.
        shape_error: message of the error if these have different shapes; None: they may.

    Raises:
        tf.errors.InvalidArgumentError: with `shape_error`; outside of graphs a ValueError.
    """

    def __init__(
        self,
        collectives: SharedMemoryCollectives,
        workers: int,
        members: Sequence[int] | None = None,
        shape_error: str | None = None,
    ):
        self._collectives, self._shape_error = collectives, shape_error
        self._members = range(workers) if members is None else members

    def __call__(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        tensor = tf.convert_to_tensor(tensor)
        gathered = tf.numpy_function(self._exchange, [tensor], [tensor.dtype] * len(self._members))
        return [tf.ensure_shape(each, [None] * tensor.shape.rank) for each in gathered]

    def _exchange(self, array):
        array = np.asarray(array)
        of_workers = self._collectives.all_gather([[np.array(array.shape, np.int64)], [array]])
        gathered = [of_workers[member] for member in self._members]
        if self._shape_error and any(tuple(shape) != array.shape for shape, _ in gathered):
            raise ValueError(self._shape_error)
        return [flat.reshape(shape).copy() for shape, flat in gathered]
