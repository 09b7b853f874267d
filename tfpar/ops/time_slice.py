"""`TimeSlice`: the steps that one of several replicas has of each sequence, and its exchange with the others."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf


class _Order:
    """The order of the exchanges of a replica: a token that passes through the functions that have exchanges.

    A gradient tape visits operations in an order that differs from replica to replica, except that it visits an
    operation after those that take its outputs. Without a token exchanges of parallel branches could meet others.
    """

    def __init__(self):
        self._token: tf.Tensor | None = None

    def take(self) -> tf.Tensor:
        """Return the token of the last function of this graph, or a new one."""
        token = self._token
        is_here = token is not None and (tf.executing_eagerly() or token.graph is tf.compat.v1.get_default_graph())
        return token if is_here else tf.zeros([])

    def put(self, token: tf.Tensor) -> None:
        """Keep the token for the next function."""
        self._token = token


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
        order: of the exchanges.
    """

    index: int
    count: int
    first_step: int | tf.Tensor
    steps: int | tf.Tensor
    exchange: Callable[[tf.Tensor], list[tf.Tensor]]
    jit_compile: bool = False
    most_rows: int | None = None
    order: _Order = dataclasses.field(default_factory=_Order, compare=False)

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

    def differentiable(self, function: Callable) -> Callable:
        """Do what `tf.custom_gradient` does, for a function whose gradient has exchanges.

        Gradients run in the reverse order of the calls, on all replicas alike.

        Args:
            function: of tensors, without variables; it returns a tuple of tensors, and the function of their gradients.
        """

        @tf.custom_gradient
        def with_token(token, *tensors):
            outputs, gradient = function(*tensors)

            def gradient_with_token(*d_outputs):
                *own, d_token = d_outputs
                return d_token, *gradient(*own)

            return (*outputs, tf.identity(token)), gradient_with_token

        def call(*tensors):
            *outputs, token = with_token(self.order.take(), *tensors)
            self.order.put(token)
            return tuple(outputs)

        return call

    def compile(self, function: Callable) -> Callable:
        """Make one XLA program of a function of tensors, if `jit_compile` is set."""
        return tf.function(function, jit_compile=True, autograph=False) if self.jit_compile else function
