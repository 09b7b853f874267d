"""The GRU with diagonal recurrent weights.

    z    = sigma(x[t] W_z + a_z * h[t-1] + b_z)                    update gate
    r    = sigma(x[t] W_r + a_r * h[t-1] + b_r)                    reset gate
    n    = tanh(x[t] W_n + a_n * (r * h[t-1]) + b_n)               candidate
    h[t] = (1 - z) * h[t-1] + z * n

    dh[t] / dh[t-1] = (1 - z) + (n - h[t-1]) z' a_z + z n' a_n (r + h[t-1] r' a_r)

Units mix in the input projections of the next layer only. The gates depend on the state, so unlike a linear recurrence
it can count modulo two.

References:
    Danieli et al. 2025, ParaRNN: unlocking parallel training of nonlinear RNNs, arXiv:2510.21450.
"""

import tensorflow as tf

from tfpar.ops.newton import DiagonalRecurrence, Jacobian
from tfpar.ops.recurrence import RecurrentWeights, Tensors


class ParaGRU(DiagonalRecurrence):
    """The recurrence of the module's equations. States: (h,). The recurrent kernel is (3, units): a_z, a_r, a_n."""

    name = "para_gru"
    num_gates = 3
    num_states = 1
    num_rows = 3

    def step_and_jacobian(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights
    ) -> tuple[Tensors, Jacobian]:
        (h,) = states
        a_z, a_r, a_n = tf.unstack(weights.kernel)
        x_z, x_r, x_n = tf.split(x_proj, 3, axis=-1)
        z, r = tf.sigmoid(x_z + a_z * h), tf.sigmoid(x_r + a_r * h)
        n = tf.tanh(x_n + a_n * (r * h))
        through_z = (n - h) * (z * (1 - z) * a_z)
        through_n = z * (1 - n * n) * a_n * (r + h * (r * (1 - r) * a_r))
        return ((1 - z) * h + z * n,), (((1 - z) + through_z + through_n,),)
