"""The GRU recurrence, in both published forms.

    z    = sigma(x[t] W_z + h[t-1] U_z + b_z)                      update gate
    r    = sigma(x[t] W_r + h[t-1] U_r + b_r)                      reset gate
    n    = tanh(x[t] W_n + b_n + r * (h[t-1] U_n + b_rn))          candidate, `reset_after=True` (Keras' and cuDNN's)
    n    = tanh(x[t] W_n + b_n + (r * h[t-1]) U_n)                 candidate, `reset_after=False` (the first paper's)
    h[t] = z * h[t-1] + (1 - z) * n

References:
    Cho et al. 2014, arXiv:1406.1078 (v3: `reset_after=False`, v1: `reset_after=True`).
"""

import tensorflow as tf

from tfpar.ops.activations import Activation, GateActivations
from tfpar.ops.materialization import Materialize, identity
from tfpar.ops.recurrence import (
    Recurrence,
    RecurrentWeights,
    Tensors,
    apply_dropout,
    concatenate_gates,
    sum_outer_products,
)


class GRU(Recurrence):
    """The GRU with the reset gate after the matmul: one recurrent matmul a step. States: (h,).

    Backward, with the derivatives of the gates as z', r', n', and s = h[t-1] U_n + b_rn:

        d[z r n] = dh * [(h[t-1] - n) z', (1 - z) n' s r', (1 - z) n']
        dh       = dh * z + (d[z r n] * [1 1 r]) U^T

    Args:
        activation: of the candidate.
        recurrent_activation: of the update and reset gates.
    """

    name = "gru"
    num_gates = 3
    num_states = 1
    num_residuals = 2

    def __init__(self, activation: Activation, recurrent_activation: Activation):
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self._update_and_reset = GateActivations((recurrent_activation, recurrent_activation))

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        """Advance by one step. Residuals: [z, h[t-1] U_n + b_rn, n] concatenated, and r."""
        (h,) = states
        x_zr, x_n = _split_gates(x_proj)
        recurrent_zr, recurrent_n = _split_gates(weights.project(apply_dropout(h, dropout)))
        z_residual, r_residual = tf.split(self._update_and_reset.residual(x_zr + recurrent_zr), 2, axis=-1)
        candidate = self.activation.residual(x_n + self.recurrent_activation.value(r_residual) * recurrent_n)
        residual = concatenate_gates([z_residual, recurrent_n, candidate])
        z, n = self.recurrent_activation.value(z_residual), self.activation.value(candidate)
        return (z * h + (1 - z) * n,), (residual, r_residual)

    def step_gradient(
        self,
        gradients: Tensors,
        states: Tensors,
        previous: Tensors,
        residuals: Tensors,
        transposed: tf.Tensor,
        dropout: tf.Tensor | None,
        force_materialize: Materialize = identity,
    ) -> tuple[tf.Tensor, Tensors]:
        (dh,), (residual, r_residual) = gradients, residuals
        z_residual, recurrent_n, candidate = tf.split(force_materialize(residual), 3, axis=-1)
        z, r, n = (*map(self.recurrent_activation.value, (z_residual, r_residual)), self.activation.value(candidate))
        dn = dh * (1 - z) * self.activation.derivative(candidate)
        d_z = dh * (previous[0] - n) * self.recurrent_activation.derivative(z_residual)
        d_r = dn * recurrent_n * self.recurrent_activation.derivative(r_residual)
        d_x_proj = force_materialize(concatenate_gates([d_z, d_r, dn]))
        d_dropped = tf.matmul(_multiply_reset(d_x_proj, r), transposed)
        return d_x_proj, (dh * z + apply_dropout(d_dropped, dropout),)

    def weight_gradients(
        self, d_x_proj: tf.Tensor, residuals: Tensors, previous: tf.Tensor, dropout: tf.Tensor | None
    ) -> RecurrentWeights:
        r = self.recurrent_activation.value(residuals[0])
        # All steps as one batch: XLA for CPUs then sums the bias gradient several times as fast.
        d_recurrent = _multiply_reset(*(tf.reshape(stack, [-1, stack.shape[-1]]) for stack in (d_x_proj, r)))
        d_kernel = sum_outer_products(apply_dropout(previous, dropout), d_recurrent)
        return RecurrentWeights(d_kernel, tf.reduce_sum(d_recurrent, axis=0))

    def for_interpreter(self) -> "GRU":
        return _InferenceGRU(self.activation, self.recurrent_activation)


class _InferenceGRU(GRU):
    """The GRU for an interpreter, of the fewest operations. Without residuals."""

    num_residuals = 0

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        (h,) = states
        x_zr, x_n = _split_gates(x_proj)
        recurrent_zr, recurrent_n = _split_gates(weights.project(apply_dropout(h, dropout)))
        z, r = tf.split(self.recurrent_activation.function(x_zr + recurrent_zr), 2, axis=-1)
        n = self.activation.function(x_n + r * recurrent_n)
        return (z * h + (1 - z) * n,), ()


class ResetBeforeGRU(GRU):
    """The GRU with the reset gate before the matmul: two recurrent matmuls a step. States: (h,)."""

    def for_interpreter(self) -> "GRU":
        return self

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        """Advance by one step. Residuals: [z, r, n] concatenated, and r * h[t-1]."""
        (h,) = states
        h_dropped = apply_dropout(h, dropout)
        zr_columns, n_columns = slice(None, 2 * h.shape[-1]), slice(2 * h.shape[-1], None)
        x_zr, x_n = _split_gates(x_proj)
        zr = self.recurrent_activation.residual(x_zr + weights.project(h_dropped, zr_columns))
        z, r = tf.split(self.recurrent_activation.value(zr), 2, axis=-1)
        reset_h = r * h_dropped
        candidate = self.activation.residual(x_n + weights.project(reset_h, n_columns))
        n = self.activation.value(candidate)
        return (z * h + (1 - z) * n,), (tf.concat([zr, candidate], axis=-1), reset_h)

    def step_gradient(
        self,
        gradients: Tensors,
        states: Tensors,
        previous: Tensors,
        residuals: Tensors,
        transposed: tf.Tensor,
        dropout: tf.Tensor | None,
        force_materialize: Materialize = identity,
    ) -> tuple[tf.Tensor, Tensors]:
        (dh,), (zr, candidate) = gradients, _split_gates(force_materialize(residuals[0]))
        z, r = tf.split(self.recurrent_activation.value(zr), 2, axis=-1)
        slope_z, slope_r = tf.split(self.recurrent_activation.derivative(zr), 2, axis=-1)
        transposed_zr, transposed_n = tf.split(transposed, [2 * dh.shape[-1], dh.shape[-1]])
        dn = dh * (1 - z) * self.activation.derivative(candidate)
        d_reset_h = tf.matmul(dn, transposed_n)
        dr = d_reset_h * apply_dropout(previous[0], dropout) * slope_r
        d_zr = tf.concat([dh * (previous[0] - self.activation.value(candidate)) * slope_z, dr], axis=-1)
        d_dropped = d_reset_h * r + tf.matmul(d_zr, transposed_zr)
        return tf.concat([d_zr, dn], axis=-1), (dh * z + apply_dropout(d_dropped, dropout),)

    def weight_gradients(
        self, d_x_proj: tf.Tensor, residuals: Tensors, previous: tf.Tensor, dropout: tf.Tensor | None
    ) -> RecurrentWeights:
        d_zr, dn = _split_gates(d_x_proj)
        h = apply_dropout(previous, dropout)
        return RecurrentWeights(tf.concat([sum_outer_products(h, d_zr), sum_outer_products(residuals[0], dn)], axis=-1))


def _multiply_reset(d_x_proj: tf.Tensor, r: tf.Tensor) -> tf.Tensor:
    """Return d[z r n] * [1 1 r], float (batch, 3 * units): dL/d (h[t-1] U + b_r)."""
    ones = tf.ones_like(r)
    return d_x_proj * concatenate_gates([ones, ones, r])


def _split_gates(tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Split (..., 3 * units) into the update and reset gates' (..., 2 * units) and the candidate's (..., units)."""
    units = tensor.shape[-1] // 3
    return tensor[..., : 2 * units], tensor[..., 2 * units :]
