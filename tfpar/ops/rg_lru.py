"""The real-gated linear recurrent unit of Griffin, on an input u[t] = x[t] W + b.

    r    = sigma(u[t] W_r + b_r)                                recurrence gate, W_r block-diagonal
    i    = sigma(u[t] W_i + b_i)                                input gate, W_i block-diagonal
    a    = exp(-8 r softplus(L))                                decay, L: `units` numbers
    h[t] = a * h[t-1] + sqrt(1 - a^2) * (i * u[t])

The factor sqrt(1 - a^2) preserves the variance of the state. Unlike in RecurrentGemma it applies to the first step,
too, so that blocks of a sequence, each from the state after the one before, equal the whole sequence.

References:
    De et al. 2024, Griffin: mixing gated linear recurrences with local attention, arXiv:2402.19427.
"""

from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.linear_recurrence import LinearRecurrence

SHARPNESS = 8.0  # c of the paper
LARGEST_SLOPE = 1000.0  # of the square root, as in RecurrentGemma


class RGLRUWeights(NamedTuple):
    """Weights beside the input projection.

    Attributes:
        gate_kernel: float (heads, units / heads, 2 * units / heads), the blocks of W_r and W_i.
        gate_bias: float (2 * units,), b_r and b_i.
        decay: float (units,), L.
    """

    gate_kernel: tf.Tensor
    gate_bias: tf.Tensor
    decay: tf.Tensor


class RGLRU(LinearRecurrence):
    """The recurrence of the module's equations. States: (h,)."""

    name = "rg_lru"
    num_gates = 1

    def coefficients(self, x_proj: tf.Tensor, weights: RGLRUWeights) -> tuple[tf.Tensor, tf.Tensor]:
        weights = RGLRUWeights(*(tf.cast(weight, x_proj.dtype) for weight in weights))
        heads = tf.split(x_proj, weights.gate_kernel.shape[0], axis=-1)
        gates = [
            tf.tensordot(u, kernel, axes=1) for u, kernel in zip(heads, tf.unstack(weights.gate_kernel), strict=True)
        ]
        r, i = zip(*(tf.split(gate, 2, axis=-1) for gate in gates), strict=True)
        b_r, b_i = tf.split(weights.gate_bias, 2)
        r, i = tf.sigmoid(tf.concat(r, axis=-1) + b_r), tf.sigmoid(tf.concat(i, axis=-1) + b_i)
        log_a = r * (-SHARPNESS * tf.math.softplus(weights.decay))
        return tf.exp(log_a), self.input_factor(log_a) * (i * x_proj)

    @staticmethod
    def input_factor(log_a: tf.Tensor) -> tf.Tensor:
        """Compute sqrt(1 - a^2) without cancellation where a is close to 1."""
        return _sqrt(-tf.math.expm1(2 * log_a))

    def for_interpreter(self) -> "RGLRU":
        return _InferenceRGLRU()


class _InferenceRGLRU(RGLRU):
    """The recurrence of operations that TFLite has."""

    @staticmethod
    def input_factor(log_a: tf.Tensor) -> tf.Tensor:
        return tf.sqrt(1 - tf.exp(2 * log_a))


@tf.custom_gradient
def _sqrt(x):
    """Compute sqrt(x), with a slope of at most `LARGEST_SLOPE`: the slope at zero is infinite."""
    y = tf.sqrt(x)
    return y, lambda dy: dy * tf.minimum(0.5 / tf.maximum(y, tf.cast(1e-6, y.dtype)), tf.cast(LARGEST_SLOPE, y.dtype))
