"""Pointwise activations with derivatives, so that time loops need no automatic differentiation."""

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import activations


@keras.saving.register_keras_serializable(package="tfpar")
def positive_activation(x: tf.Tensor) -> tf.Tensor:
    """Compute x + 0.5 for x >= 0, and sigmoid(x) otherwise: continuous and positive.

    It is the activation g of Feng et al. 2024, arXiv:2410.01201, appendix B.
    """
    return tf.where(x >= 0, x + 0.5, tf.sigmoid(x))


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
    """A pointwise function y = f(x) with one residual, saved for the backward pass.

    If f'(x) is a known function of y (tanh, sigmoid, relu, ...), the residual is y, which the next operation needs in
    any case. Otherwise it is x, and the derivative comes from a tape over f alone.

    Args:
        function: a Keras activation function, or any pointwise function of one tensor.
    """

    function: Callable[[tf.Tensor], tf.Tensor]

    @property
    def _derivative_from_output(self) -> Callable[[tf.Tensor], tf.Tensor] | None:
        return _DERIVATIVE_FROM_OUTPUT.get(self.function)

    @property
    def saves_output(self) -> bool:
        """Whether the residual is y, not x."""
        return self._derivative_from_output is not None

    def residual(self, x: tf.Tensor) -> tf.Tensor:
        """Return the tensor that `value` and `derivative` need: f(x) or x."""
        return self.function(x) if self.saves_output else x

    def value(self, residual: tf.Tensor) -> tf.Tensor:
        """Return f(x) from the residual."""
        return residual if self.saves_output else self.function(residual)

    def derivative(self, residual: tf.Tensor) -> tf.Tensor:
        """Return f'(x) from the residual."""
        from_output = self._derivative_from_output
        if from_output is not None:
            return from_output(residual)
        with tf.GradientTape() as tape:
            tape.watch(residual)
            y = self.function(residual)
        return tape.gradient(y, residual)


@dataclasses.dataclass(frozen=True)
class GateActivations:
    """The activations of gates that are concatenated in one tensor (..., gates * units).

    Sigmoids and hyperbolic tangents are computed as one pointwise operation over all gates, since

        sigmoid(x) = (1 + tanh(x / 2)) / 2

    XLA for CPUs vectorizes that operation. It compiles gates that are split first to scalar code, which is ten times
    slower.

    Args:
        per_gate: an `Activation` for each gate.
    """

    per_gate: tuple[Activation, ...]

    @property
    def sigmoids(self) -> list[bool] | None:
        """For each gate whether it is a sigmoid; None if any gate is neither a sigmoid nor a hyperbolic tangent."""
        functions = [activation.function for activation in self.per_gate]
        are_known = all(function in (activations.sigmoid, activations.tanh) for function in functions)
        return [function is activations.sigmoid for function in functions] if are_known else None

    def _constant_per_gate(self, tensor, conditions, if_true: float, if_false: float) -> tf.Tensor:
        """Return a constant (gates * units,) with one number for each gate."""
        numbers = np.where(conditions, if_true, if_false)
        return tf.constant(np.repeat(numbers, tensor.shape[-1] // len(self.per_gate)), tensor.dtype)

    def _apply_per_gate(self, method: str, tensor) -> tf.Tensor:
        """Apply a method of each gate's activation to that gate."""
        gates = tf.split(tensor, len(self.per_gate), axis=-1)
        pairs = zip(self.per_gate, gates, strict=True)
        return tf.concat([getattr(activation, method)(gate) for activation, gate in pairs], axis=-1)

    def residual(self, x: tf.Tensor) -> tf.Tensor:
        """Return the tensor that `value` and `derivative` need: (..., gates * units)."""
        if self.sigmoids is None:
            return self._apply_per_gate("residual", x)
        scale = self._constant_per_gate(x, self.sigmoids, 0.5, 1.0)
        return tf.tanh(x * scale) * scale + self._constant_per_gate(x, self.sigmoids, 0.5, 0.0)

    def value(self, residual: tf.Tensor) -> tf.Tensor:
        """Return the activated gates from the residual."""
        return self._apply_per_gate("value", residual) if self.sigmoids is None else residual

    def derivative(self, residual: tf.Tensor, divide_by_value: Sequence[bool] | None = None) -> tf.Tensor:
        """Return the gates' derivatives: y (1 - y) of a sigmoid, (1 + y) (1 - y) of a hyperbolic tangent.

        Args:
            residual: from `residual`.
            divide_by_value: for each gate whether to divide its derivative by its value; only a sigmoid's can be.
        """
        if self.sigmoids is None:
            return self._apply_per_gate("derivative", residual)
        divided = np.array(divide_by_value or [False] * len(self.per_gate))
        factor = self._constant_per_gate(residual, divided, 0.0, 1.0)
        offset = self._constant_per_gate(residual, divided | ~np.array(self.sigmoids), 1.0, 0.0)
        return (residual * factor + offset) * (1 - residual)


def inference_softplus(x: tf.Tensor) -> tf.Tensor:
    """Compute log(1 + exp(x)) by operations that TFLite has, without overflow; its gradient would be wrong at zero."""
    return tf.nn.relu(x) + tf.math.log(1 + tf.exp(-tf.abs(x)))
