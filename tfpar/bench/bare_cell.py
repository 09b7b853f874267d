"""A cell that computes nothing: what the matmuls and the loops of a recurrent layer cost, whatever its gates do."""

import tensorflow as tf

from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.ops.materialization import as_it_is
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, side_by_side, summed_outer


class BareCell(Recurrence):
    """Has the matmuls of a cell with as many gates, and reads and writes what any cell must. States: (h,).

    h[t] is the mean of the gates of h[t-1] U; the gradient, multiplied by x[t] W + h[t-1] U + b, is not that of h[t].
    If h[t] and what is kept shared a sum, XLA would form it twice, and copy the whole stack at each step.
    """

    name = "bare"
    state_count = 1
    kept_count = 1

    def __init__(self, gates: int):
        self.gates = gates

    def step(self, projected, states, weights, dropout, materialized=as_it_is):
        recurrent = weights.times(states[0])
        h = tf.add_n(tf.split(recurrent, self.gates, axis=-1)) / self.gates
        return (h,), (materialized(projected + recurrent),)

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout, materialized=as_it_is):
        dz = side_by_side([gradients[0] / self.gates] * self.gates) * materialized(kept[0])
        return dz, (tf.matmul(dz, transposed),)

    def weight_gradients(self, d_projected, kept, previous, dropout):
        return RecurrentWeights(summed_outer(previous, d_projected))


class BareRecurrent(RecurrentLayer):
    """The layer around a `BareCell`.

    Args:
        units: number of units.
        gates: how many.
        **kwargs: see `RecurrentLayer`.
    """

    def __init__(self, units, gates, **kwargs):
        self.gates = gates
        super().__init__(units, activation="linear", **kwargs)

    def _make_recurrence(self):
        return BareCell(self.gates)
