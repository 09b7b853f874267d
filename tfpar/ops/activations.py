"""Pointwise activations that know their derivative, so that time loops need no automatic differentiation."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf
from keras import activations

_DERIVATIVE_FROM_OUTPUT = {
    activations.tanh: lambda y: 1 - y * y,
    activations.sigmoid: lambda y: y * (1 - y),
    activations.linear: tf.ones_like,
    activations.relu: lambda y: tf.cast(y > 0, y.dtype),
    activations.hard_sigmoid: lambda y: tf.cast((y > 0) & (y < 1), y.dtype) / 6,
    activations.softsign: lambda y: tf.square(1 - tf.abs(y)),
}


@dataclasses.dataclass(frozen=True)
class Activation:
    """A pointwise function y = f(x), kept for the backward pass as whatever its derivative needs.

    Where f'(x) can be told from y (tanh, sigmoid, relu, ...) the forward pass keeps y, which the next operation
    needs anyway. Otherwise it keeps x and the derivative comes from a tape over f alone.

    Args:
        function: a Keras activation function, or any pointwise function of one tensor.
    """

    function: Callable[[tf.Tensor], tf.Tensor]

    @property
    def _from_output(self):
        return _DERIVATIVE_FROM_OUTPUT.get(self.function)

    def kept(self, x: tf.Tensor) -> tf.Tensor:
        """What the forward pass stores for `value` and `derivative`."""
        return self.function(x) if self._from_output else x

    def value(self, kept: tf.Tensor) -> tf.Tensor:
        """f(x), from what was kept."""
        return kept if self._from_output else self.function(kept)

    def derivative(self, kept: tf.Tensor) -> tf.Tensor:
        """f'(x), from what was kept."""
        if self._from_output:
            return self._from_output(kept)
        with tf.GradientTape() as tape:
            tape.watch(kept)
            y = self.function(kept)
        return tape.gradient(y, kept)
