"""The minimal GRU and LSTM, whose gates do not depend on the state.

    MinGRU                                          MinLSTM
    z    = sigma(x[t] W_z + b_z)                    f    = sigma(x[t] W_f + b_f)
                                                    i    = sigma(x[t] W_i + b_i)
    n    = g(x[t] W_n + b_n)                        n    = g(x[t] W_n + b_n)
    h[t] = (1 - z) * h[t-1] + z * n                 h[t] = f / (f + i) * h[t-1] + i / (f + i) * n

The paper runs the scan over logarithms, which needs h > 0. Here the factors are in [0, 1], so the scan itself cannot
overflow, and any activation and initial state will do.

References:
    Feng et al. 2024, Were RNNs All We Needed?, arXiv:2410.01201.
"""

import tensorflow as tf

from tfpar.ops.activations import Activation, inference_softplus
from tfpar.ops.linear_recurrence import LinearRecurrence
from tfpar.ops.recurrence import RecurrentWeights


class MinGRU(LinearRecurrence):
    """The recurrence of the module's equations on the left. States: (h,).

    Args:
        activation: g, of the candidate.
    """

    name = "min_gru"
    num_gates = 2

    def __init__(self, activation: Activation):
        self.activation = activation

    def coefficients(self, x_proj: tf.Tensor, weights: RecurrentWeights) -> tuple[tf.Tensor, tf.Tensor]:
        z, n = tf.split(x_proj, 2, axis=-1)
        z = tf.sigmoid(z)
        return 1 - z, z * self.activation.function(n)


class MinLSTM(LinearRecurrence):
    """The recurrence of the module's equations on the right. States: (h,).

    Args:
        activation: g, of the candidate.
    """

    name = "min_lstm"
    num_gates = 3

    def __init__(self, activation: Activation):
        self.activation = activation

    def coefficients(self, x_proj: tf.Tensor, weights: RecurrentWeights) -> tuple[tf.Tensor, tf.Tensor]:
        f, i, n = tf.split(x_proj, 3, axis=-1)
        # By log(i / f), which is finite where both gates underflow to zero.
        i = tf.sigmoid(self.softplus(-f) - self.softplus(-i))
        return 1 - i, i * self.activation.function(n)

    softplus = staticmethod(tf.math.softplus)

    def for_interpreter(self) -> "MinLSTM":
        return _InferenceMinLSTM(self.activation)


class _InferenceMinLSTM(MinLSTM):
    """The recurrence of operations that TFLite has; its gradient would be wrong at zero."""

    softplus = staticmethod(inference_softplus)
