"""Pointwise activations that know their derivative, so that time loops need no automatic differentiation."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
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

    @property
    def keeps_output(self) -> bool:
        """Whether y is what is kept, and not x."""
        return self._from_output is not None

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


@dataclasses.dataclass(frozen=True)
class GateActivations:
    """The activations of gates that stand side by side in one tensor (..., gates * units), one for each gate.

    Sigmoids and hyperbolic tangents are computed as one pointwise operation over all gates, since

        sigmoid(x) = (1 + tanh(x / 2)) / 2

    XLA for CPUs turns that into vector instructions; of gates that are split before they are activated it makes scalar
    code, which takes ten times as long.

    Args:
        of_gates: an `Activation` for each gate.
    """

    of_gates: tuple[Activation, ...]

    @property
    def sigmoids(self) -> list[bool] | None:
        """For each gate whether it is a sigmoid, if each other is a hyperbolic tangent; else None."""
        functions = [activation.function for activation in self.of_gates]
        known = all(function in (activations.sigmoid, activations.tanh) for function in functions)
        return [function is activations.sigmoid for function in functions] if known else None

    def _by_gate(self, tensor, conditions, if_true: float, if_false: float) -> tf.Tensor:
        """A number for each gate, repeated for its units."""
        numbers = np.where(conditions, if_true, if_false)
        return tf.constant(np.repeat(numbers, tensor.shape[-1] // len(self.of_gates)), tensor.dtype)

    def _each(self, method: str, tensor) -> tf.Tensor:
        """Applies a method of each gate's activation to that gate."""
        parts = zip(self.of_gates, tf.split(tensor, len(self.of_gates), axis=-1), strict=True)
        return tf.concat([getattr(activation, method)(part) for activation, part in parts], axis=-1)

    def kept(self, x: tf.Tensor) -> tf.Tensor:
        """What the forward pass stores for `value` and `derivative`: (..., gates * units)."""
        if self.sigmoids is None:
            return self._each("kept", x)
        scale = self._by_gate(x, self.sigmoids, 0.5, 1.0)
        return tf.tanh(x * scale) * scale + self._by_gate(x, self.sigmoids, 0.5, 0.0)

    def value(self, kept: tf.Tensor) -> tf.Tensor:
        """The activated gates, from what was kept."""
        return self._each("value", kept) if self.sigmoids is None else kept

    def derivative(self, kept: tf.Tensor, by_value: Sequence[bool] | None = None) -> tf.Tensor:
        """The derivatives of the gates, from what was kept: y (1 - y) of a sigmoid, (1 + y) (1 - y) of a tangent.

        Args:
            kept: as from `kept`.
            by_value: for each gate whether to divide its derivative by its value, which only a sigmoid's can be.
        """
        if self.sigmoids is None:
            return self._each("derivative", kept)
        by_value = np.array(by_value or [False] * len(self.of_gates))
        ones = by_value | ~np.array(self.sigmoids)
        return (kept * self._by_gate(kept, by_value, 0.0, 1.0) + self._by_gate(kept, ones, 1.0, 0.0)) * (1 - kept)
