"""The fully connected recurrence of Elman 1990: h[t] = tanh(x[t] W + h[t-1] U + b)."""

import tensorflow as tf

from tfpar.ops.activations import Activation
from tfpar.ops.materialization import as_it_is
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, dropped, summed_outer


class SimpleRNN(Recurrence):
    """See the module's equation. States: (h,).

    Args:
        activation: of the output.
    """

    name = "rnn"
    gates = 1
    state_count = 1
    kept_count = 1

    def __init__(self, activation: Activation):
        self.activation = activation

    def step(self, projected, states, weights, dropout):
        kept = self.activation.kept(projected + weights.times(dropped(states[0], dropout)))
        return (self.activation.value(kept),), (kept,)

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout, materialized=as_it_is):
        dz = gradients[0] * self.activation.derivative(materialized(kept[0]))
        return dz, (dropped(tf.matmul(dz, transposed), dropout),)

    def weight_gradients(self, d_projected, kept, previous, dropout):
        return RecurrentWeights(summed_outer(dropped(previous, dropout), d_projected))
