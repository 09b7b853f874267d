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
from tfpar.ops.materialization import as_it_is
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, dropped, side_by_side, summed_outer


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
        self._update_and_reset = GateActivations((recurrent_activation, recurrent_activation))

    def step(self, projected, states, weights, dropout):
        """Keeps z, h[t-1] U_n + b_rn and n side by side, and r."""
        (h,) = states
        x_zr, x_n = _split_gates(projected)
        recurrent_zr, recurrent_n = _split_gates(weights.times(dropped(h, dropout)))
        kept_z, kept_r = tf.split(self._update_and_reset.kept(x_zr + recurrent_zr), 2, axis=-1)
        candidate = self.activation.kept(x_n + self.recurrent_activation.value(kept_r) * recurrent_n)
        kept = side_by_side([kept_z, recurrent_n, candidate])
        z, n = self.recurrent_activation.value(kept_z), self.activation.value(candidate)
        return (z * h + (1 - z) * n,), (kept, kept_r)

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout, materialized=as_it_is):
        (dh,), (kept, kept_r) = gradients, kept
        kept_z, recurrent_n, candidate = tf.split(materialized(kept), 3, axis=-1)
        z, r, n = (*map(self.recurrent_activation.value, (kept_z, kept_r)), self.activation.value(candidate))
        dn = dh * (1 - z) * self.activation.derivative(candidate)
        d_z = dh * (previous[0] - n) * self.recurrent_activation.derivative(kept_z)
        d_r = dn * recurrent_n * self.recurrent_activation.derivative(kept_r)
        d_projected = materialized(side_by_side([d_z, d_r, dn]))
        d_dropped = tf.matmul(_times_reset(d_projected, r), transposed)
        return d_projected, (dh * z + dropped(d_dropped, dropout),)

    def weight_gradients(self, d_projected, kept, previous, dropout):
        r = self.recurrent_activation.value(kept[0])
        # Of all steps as one batch: so XLA for CPUs sums the bias's gradient several times as fast.
        d_recurrent = _times_reset(*(tf.reshape(stack, [-1, stack.shape[-1]]) for stack in (d_projected, r)))
        d_kernel = summed_outer(dropped(previous, dropout), d_recurrent)
        return RecurrentWeights(d_kernel, tf.reduce_sum(d_recurrent, axis=0))

    def for_interpreter(self):
        return _InferenceGRU(self.activation, self.recurrent_activation)


class _InferenceGRU(GRU):
    """For an interpreter: the fewest operations. Keeps nothing."""

    kept_count = 0

    def step(self, projected, states, weights, dropout):
        (h,) = states
        x_zr, x_n = _split_gates(projected)
        recurrent_zr, recurrent_n = _split_gates(weights.times(dropped(h, dropout)))
        z, r = tf.split(self.recurrent_activation.function(x_zr + recurrent_zr), 2, axis=-1)
        n = self.activation.function(x_n + r * recurrent_n)
        return (z * h + (1 - z) * n,), ()


class ResetBeforeGRU(GRU):
    """The form with the reset gate before the matmul: two recurrent matmuls a step. States: (h,)."""

    def for_interpreter(self):
        return self

    def step(self, projected, states, weights, dropout):
        """Keeps the gates side by side, and r * h[t-1]."""
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

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout, materialized=as_it_is):
        (dh,), (zr, candidate) = gradients, _split_gates(materialized(kept[0]))
        z, r = tf.split(self.recurrent_activation.value(zr), 2, axis=-1)
        slope_z, slope_r = tf.split(self.recurrent_activation.derivative(zr), 2, axis=-1)
        transposed_zr, transposed_n = tf.split(transposed, [2 * dh.shape[-1], dh.shape[-1]])
        dn = dh * (1 - z) * self.activation.derivative(candidate)
        d_reset_h = tf.matmul(dn, transposed_n)
        dr = d_reset_h * dropped(previous[0], dropout) * slope_r
        d_zr = tf.concat([dh * (previous[0] - self.activation.value(candidate)) * slope_z, dr], axis=-1)
        d_dropped = d_reset_h * r + tf.matmul(d_zr, transposed_zr)
        return tf.concat([d_zr, dn], axis=-1), (dh * z + dropped(d_dropped, dropout),)

    def weight_gradients(self, d_projected, kept, previous, dropout):
        d_zr, dn = _split_gates(d_projected)
        h = dropped(previous, dropout)
        return RecurrentWeights(tf.concat([summed_outer(h, d_zr), summed_outer(kept[0], dn)], axis=-1))


def _times_reset(d_projected: tf.Tensor, r: tf.Tensor) -> tf.Tensor:
    """d[z r n] * [1 1 r], float (batch, 3 * units): dL/d (h[t-1] U + b_r)."""
    ones = tf.ones_like(r)
    return d_projected * side_by_side([ones, ones, r])


def _split_gates(tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Parts (..., 3 * units) into the update and reset gates' (..., 2 * units) and the candidate's (..., units)."""
    units = tensor.shape[-1] // 3
    return tensor[..., : 2 * units], tensor[..., 2 * units :]
