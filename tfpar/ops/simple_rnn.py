"""The fully connected recurrence of Elman 1990: h[t] = tanh(x[t] W + h[t-1] U + b)."""

import tensorflow as tf

from tfpar.ops.activations import Activation
from tfpar.ops.materialization import Materialize, identity
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors, apply_dropout, sum_outer_products


class SimpleRNN(Recurrence):
    """The recurrence of the module's equation. States: (h,).

    Args:
        activation: of the output.
    """

    name = "rnn"
    num_gates = 1
    num_states = 1
    num_residuals = 1

    def __init__(self, activation: Activation):
        self.activation = activation

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        residual = self.activation.residual(x_proj + weights.project(apply_dropout(states[0], dropout)))
        return (self.activation.value(residual),), (residual,)

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
        dz = gradients[0] * self.activation.derivative(force_materialize(residuals[0]))
        return dz, (apply_dropout(tf.matmul(dz, transposed), dropout),)

    def weight_gradients(
        self, d_x_proj: tf.Tensor, residuals: Tensors, previous: tf.Tensor, dropout: tf.Tensor | None
    ) -> RecurrentWeights:
        return RecurrentWeights(sum_outer_products(apply_dropout(previous, dropout), d_x_proj))
