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

from tfpar.ops.activations import Activation
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, dropped, summed_outer


class GRU(Recurrence):
    """The form with the reset gate after the matmul: one recurrent matmul a step. States: (h,).

    Backward, with the derivatives of the gates as z', r', n', and s = h[t-1] U_n + b_rn:

        d[z r n] = dh * [(h[t-1] - n) z', (1 - z) n' s r', (1 - z) n']
        dh       = dh * z + (d[z r n] * [1 1 r]) U^T

    Args:
        activation: of the candidate.
        recurrent_activation: of the update and reset gates.
    """

    name = "gru"
    gates = 3
    state_count = 1
    kept_count = 2

    def __init__(self, activation: Activation, recurrent_activation: Activation):
        self.activation = activation
        self.recurrent_activation = recurrent_activation

    def step(self, projected, states, weights, dropout):
        (h,) = states
        x_zr, x_n = _split_gates(projected)
        recurrent_zr, recurrent_n = _split_gates(weights.times(dropped(h, dropout)))
        zr = self.recurrent_activation.kept(x_zr + recurrent_zr)
        z, r = tf.split(self.recurrent_activation.value(zr), 2, axis=-1)
        candidate = self.activation.kept(x_n + r * recurrent_n)
        n = self.activation.value(candidate)
        return (z * h + (1 - z) * n,), (tf.concat([zr, candidate], axis=-1), recurrent_n)

    def _gates(self, kept):
        """z, r, n and their derivatives."""
        zr, candidate = _split_gates(kept)
        z, r = tf.split(self.recurrent_activation.value(zr), 2, axis=-1)
        slope_z, slope_r = tf.split(self.recurrent_activation.derivative(zr), 2, axis=-1)
        return (z, r, self.activation.value(candidate)), (slope_z, slope_r, self.activation.derivative(candidate))

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout):
        (dh,), (kept, recurrent_n) = gradients, kept
        (z, r, n), (slope_z, slope_r, slope_n) = self._gates(kept)
        dn = dh * (1 - z) * slope_n
        d_zr = [dh * (previous[0] - n) * slope_z, dn * recurrent_n * slope_r]
        d_recurrent_n = dn * r
        d_dropped = tf.matmul(tf.concat([*d_zr, d_recurrent_n], axis=-1), transposed)
        return (tf.concat([*d_zr, dn], axis=-1), d_recurrent_n), (dh * z + dropped(d_dropped, dropout),)

    def weight_gradients(self, left, previous, dropout):
        d_zr, _ = _split_gates(left[0])
        d_recurrent = tf.concat([d_zr, left[1]], axis=-1)
        return RecurrentWeights(
            summed_outer(dropped(previous, dropout), d_recurrent), tf.reduce_sum(d_recurrent, axis=[0, 1])
        )


class ResetBeforeGRU(GRU):
    """The form with the reset gate before the matmul: two recurrent matmuls a step. States: (h,)."""

    def step(self, projected, states, weights, dropout):
        (h,) = states
        h_dropped = dropped(h, dropout)
        zr_columns, n_columns = slice(None, 2 * h.shape[-1]), slice(2 * h.shape[-1], None)
        x_zr, x_n = _split_gates(projected)
        zr = self.recurrent_activation.kept(x_zr + weights.times(h_dropped, zr_columns))
        z, r = tf.split(self.recurrent_activation.value(zr), 2, axis=-1)
        reset_h = r * h_dropped
        candidate = self.activation.kept(x_n + weights.times(reset_h, n_columns))
        n = self.activation.value(candidate)
        return (z * h + (1 - z) * n,), (tf.concat([zr, candidate], axis=-1), reset_h)

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout):
        (dh,), (kept, reset_h) = gradients, kept
        (z, r, n), (slope_z, slope_r, slope_n) = self._gates(kept)
        transposed_zr, transposed_n = tf.split(transposed, [2 * dh.shape[-1], dh.shape[-1]])
        dn = dh * (1 - z) * slope_n
        d_reset_h = tf.matmul(dn, transposed_n)
        dr = d_reset_h * dropped(previous[0], dropout) * slope_r
        d_zr = tf.concat([dh * (previous[0] - n) * slope_z, dr], axis=-1)
        d_dropped = d_reset_h * r + tf.matmul(d_zr, transposed_zr)
        return (tf.concat([d_zr, dn], axis=-1), reset_h), (dh * z + dropped(d_dropped, dropout),)

    def weight_gradients(self, left, previous, dropout):
        d_zr, dn = _split_gates(left[0])
        h = dropped(previous, dropout)
        return RecurrentWeights(tf.concat([summed_outer(h, d_zr), summed_outer(left[1], dn)], axis=-1))


def _split_gates(tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Parts (..., 3 * units) into the update and reset gates' (..., 2 * units) and the candidate's (..., units)."""
    units = tensor.shape[-1] // 3
    return tensor[..., : 2 * units], tensor[..., 2 * units :]
