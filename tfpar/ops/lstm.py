"""The LSTM recurrence: a gate module, a memory cell, and their gradients.

    [i f g o] = sigma(x[t] W + h[t-1] U + b)       gate module (tanh instead of sigma for g)
    c[t]      = f * c[t-1] + i * g                 memory cell
    h[t]      = o * tanh(c[t])

W is `kernel`, U `recurrent_kernel`, b `bias`; the gates stand in Keras' order.

References:
    Hochreiter & Schmidhuber 1997, Long short-term memory. Gers et al. 2000, Learning to forget (the forget gate f).
"""

from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.activations import Activation
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, dropped, summed_outer


class Gates(NamedTuple):
    """Activated gates, each float (batch, units)."""

    input: tf.Tensor
    forget: tf.Tensor
    candidate: tf.Tensor
    output: tf.Tensor


def gate_module(preactivation: tf.Tensor, activation: Activation, recurrent_activation: Activation) -> Gates:
    """Splits x[t] W + h[t-1] U + b, float (batch, 4 * units), into the four gates, as kept for the backward pass."""
    i, f, g, o = tf.split(preactivation, 4, axis=-1)
    return Gates(
        recurrent_activation.kept(i), recurrent_activation.kept(f), activation.kept(g), recurrent_activation.kept(o)
    )


def memory_cell(gates: Gates, previous_cell: tf.Tensor, activation: Activation) -> tuple[tf.Tensor, tf.Tensor]:
    """Forgets, writes and reads: h[t] and c[t], each float (batch, units), from gate values and c[t-1]."""
    cell = gates.forget * previous_cell + gates.input * gates.candidate
    return gates.output * activation.function(cell), cell


class LSTM(Recurrence):
    """See the module's equations. States: (h, c).

    Args:
        activation: of the candidate and of the cell's reading.
        recurrent_activation: of the input, forget and output gates.
    """

    name = "lstm"
    gates = 4
    state_count = 2
    kept_count = 4

    def __init__(self, activation: Activation, recurrent_activation: Activation):
        self.activation = activation
        self.recurrent_activation = recurrent_activation

    def _values(self, kept: Gates) -> Gates:
        squash, gate = self.activation.value, self.recurrent_activation.value
        return Gates(gate(kept.input), gate(kept.forget), squash(kept.candidate), gate(kept.output))

    def step(self, projected, states, weights, dropout):
        h, c = states
        preactivation = projected + tf.matmul(dropped(h, dropout), weights.kernel)
        kept = gate_module(preactivation, self.activation, self.recurrent_activation)
        return memory_cell(self._values(kept), c, self.activation), kept

    def step_gradient(self, gradients, states, previous, kept, weights, dropout):
        dh, dc = gradients
        kept = Gates(*kept)
        gates, slope = self._values(kept), self.recurrent_activation.derivative
        read = self.activation.kept(states[1])
        dc += dh * gates.output * self.activation.derivative(read)
        dz = tf.concat(
            [
                dc * gates.candidate * slope(kept.input),
                dc * previous[1] * slope(kept.forget),
                dc * gates.input * self.activation.derivative(kept.candidate),
                dh * self.activation.value(read) * slope(kept.output),
            ],
            axis=-1,
        )
        return dz, (dropped(tf.matmul(dz, weights.kernel, transpose_b=True), dropout), dc * gates.forget)

    def weight_gradients(self, projected_gradients, previous, kept, dropout):
        return RecurrentWeights(summed_outer(dropped(previous, dropout), projected_gradients))
