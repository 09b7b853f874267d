"""The LSTM with diagonal recurrent weights, coupled gates and peepholes.

    f    = sigma(x[t] W_f + a_f * h[t-1] + c_f * c[t-1] + b_f)         forget gate
    g    = tanh(x[t] W_g + a_g * h[t-1] + b_g)                         candidate
    c[t] = f * c[t-1] + (1 - f) * g                                    memory cell
    o    = sigma(x[t] W_o + a_o * h[t-1] + c_o * c[t] + b_o)           output gate
    h[t] = o * tanh(c[t])

References:
    Danieli et al. 2025, ParaRNN: unlocking parallel training of nonlinear RNNs, arXiv:2510.21450.
"""

import tensorflow as tf

from tfpar.ops.newton import DiagonalRecurrence, Jacobian
from tfpar.ops.recurrence import RecurrentWeights, Tensors


class ParaLSTM(DiagonalRecurrence):
    """The recurrence of the module's equations. States: (h, c).

    The recurrent kernel is (5, units): a_f, a_g, a_o, c_f, c_o.
    """

    name = "para_lstm"
    num_gates = 3
    num_states = 2
    num_rows = 5

    def step_and_jacobian(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights
    ) -> tuple[Tensors, Jacobian]:
        h, c = states
        a_f, a_g, a_o, c_f, c_o = tf.unstack(weights.kernel)
        x_f, x_g, x_o = tf.split(x_proj, 3, axis=-1)
        f, g = tf.sigmoid(x_f + a_f * h + c_f * c), tf.tanh(x_g + a_g * h)
        new_c = f * c + (1 - f) * g
        o, tanh_c = tf.sigmoid(x_o + a_o * h + c_o * new_c), tf.tanh(new_c)
        slope_f, slope_o = (c - g) * f * (1 - f), tanh_c * o * (1 - o)
        c_by_c = f + slope_f * c_f
        c_by_h = slope_f * a_f + (1 - f) * (1 - g * g) * a_g
        h_by_new_c = slope_o * c_o + o * (1 - tanh_c * tanh_c)
        h_by_h = slope_o * a_o + h_by_new_c * c_by_h
        return (o * tanh_c, new_c), ((h_by_h, h_by_new_c * c_by_c), (c_by_h, c_by_c))
