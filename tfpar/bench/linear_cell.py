"""A cell without functions: what the matmuls and the loops of a recurrent layer cost, whatever its gates compute."""

import tensorflow as tf

from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, summed_outer


class LinearCell(Recurrence):
    """h[t] is the mean of the gates of x[t] W + h[t-1] U + b. States: (h,).

    It has the matmuls of a cell with as many gates, and reads and writes what any cell must; nothing depends on it but
    the benchmark.
    """

    name = "linear"
    state_count = 1
    kept_count = 1

    def __init__(self, gates: int):
        self.gates = gates

    def step(self, projected, states, weights, dropout):
        z = projected + tf.matmul(states[0], weights.kernel)
        return (tf.add_n(tf.split(z, self.gates, axis=-1)) / self.gates,), (z,)

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout):
        dz = tf.tile(gradients[0] / self.gates, [1, self.gates])
        return (dz,), (tf.matmul(dz, transposed),)

    def weight_gradients(self, left, previous, dropout):
        return RecurrentWeights(summed_outer(previous, left[0]))


class LinearRecurrent(RecurrentLayer):
    """The layer around a `LinearCell`.

    Args:
        units: number of units.
        gates: how many.
        **kwargs: see `RecurrentLayer`.
    """

    def __init__(self, units, gates, **kwargs):
        self.gates = gates
        super().__init__(units, activation="linear", **kwargs)

    def _make_recurrence(self):
        return LinearCell(self.gates)
