"""`TimeSlice`: the steps that one of several replicas has of each sequence, and its exchange with the others."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class TimeSlice:
    """Consecutive steps of all sequences of a batch; the slices of all replicas are the whole sequences.

    The first slices have equally many steps. The last ones may have fewer, or none.

    Attributes:
        index: of this slice in order of time.
        count: number of slices.
        first_step: index in the whole sequence of the first step of this slice, an int or an int32 scalar.
        steps: number of steps of the whole sequence, an int or an int32 scalar.
        exchange: tensor -> tensors of this shape from all slices, in order of time. All replicas call it alike. It has
            no gradient, and cannot be called within XLA or `tf.function`s of a replica.
        jit_compile: compile the computations between exchanges by XLA.
        most_rows: rows of the largest batch of any replica, if replicas have batches of different numbers of rows.
    """

    index: int
    count: int
    first_step: int | tf.Tensor
    steps: int | tf.Tensor
    exchange: Callable[[tf.Tensor], list[tf.Tensor]]
    jit_compile: bool = False
    most_rows: int | None = None

    def reverse(self) -> "TimeSlice":
        """Return this slice of the sequence in reverse order; its `first_step` is unchanged."""
        return dataclasses.replace(
            self, index=self.count - 1 - self.index, exchange=lambda tensor: self.exchange(tensor)[::-1]
        )

    def gather(self, tensors: Sequence[tf.Tensor]) -> list[list[tf.Tensor]]:
        """Return the tensors of all slices, in their order.

        Args:
            tensors: of one dtype; those of all slices have the same shapes.
        """
        flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
        sizes = [tf.size(tensor) for tensor in tensors]

        def unpack(gathered):
            pairs = zip(tf.split(gathered, sizes, num=len(sizes)), tensors, strict=True)
            return [tf.ensure_shape(tf.reshape(each, tf.shape(own)), own.shape) for each, own in pairs]

        return [unpack(gathered) for gathered in self.exchange(flat)]

    def compile(self, function: Callable) -> Callable:
        """Make one XLA program of a function of tensors, if `jit_compile` is set."""
        return tf.function(function, jit_compile=True, autograph=False) if self.jit_compile else function
