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

from tfpar.ops.activations import Activation, GateActivations
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, dropped, summed_outer


class Gates(NamedTuple):
    """Activated gates, each float (batch, units)."""

    input: tf.Tensor
    forget: tf.Tensor
    candidate: tf.Tensor
    output: tf.Tensor


def gate_module(preactivation: tf.Tensor, activations: GateActivations) -> tf.Tensor:
    """Activates x[t] W + h[t-1] U + b, float (batch, 4 * units): all four gates, as kept for the backward pass."""
    return activations.kept(preactivation)


def memory_cell(gates: Gates, previous_cell: tf.Tensor, activation: Activation) -> tuple[tf.Tensor, tf.Tensor]:
    """Forgets, writes and reads: h[t] and c[t], each float (batch, units), from gate values and c[t-1]."""
    cell = gates.forget * previous_cell + gates.input * gates.candidate
    return gates.output * activation.function(cell), cell


class LSTM(Recurrence):
    """See the module's equations. States: (h, c).

    Backward, with the derivatives of the gates as i', f', g', o':

        dc[t]   = dc + dh * o * tanh'(c[t])
        dz[t]   = [dc[t], dc[t], dc[t], dh] * [g i', c[t-1] f', i g', tanh(c[t]) o']
        dh, dc  = dz[t] U^T, dc[t] * f

    Args:
        activation: of the candidate and of the cell's reading.
        recurrent_activation: of the input, forget and output gates.
    """

    name = "lstm"
    gates = 4
    state_count = 2
    kept_count = 1

    def __init__(self, activation: Activation, recurrent_activation: Activation):
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self._gate_activations = GateActivations(
            (recurrent_activation, recurrent_activation, activation, recurrent_activation)
        )

    def _values(self, kept) -> Gates:
        return Gates(*tf.split(self._gate_activations.value(kept), 4, axis=-1))

    def step(self, projected, states, weights, dropout):
        h, c = states
        kept = gate_module(projected + weights.times(dropped(h, dropout)), self._gate_activations)
        return memory_cell(self._values(kept), c, self.activation), (kept,)

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout):
        (dh, dc), (kept,) = gradients, kept
        gates, read = self._values(kept), self.activation.kept(states[1])
        dc += dh * gates.output * self.activation.derivative(read)
        d_gates = [dc * gates.candidate, dc * previous[1], dc * gates.input, dh * self.activation.value(read)]
        dz = tf.concat(d_gates, axis=-1) * self._gate_activations.derivative(kept)
        return (dz,), (dropped(tf.matmul(dz, transposed), dropout), dc * gates.forget)

    def weight_gradients(self, left, previous, dropout):
        return RecurrentWeights(summed_outer(dropped(previous, dropout), left[0]))

    def for_interpreter(self):
        return _GateByGate(self.activation, self.recurrent_activation)


class _GateByGate(LSTM):
    """For an interpreter: each gate is split off and activated by itself, which are fewer operations. Keeps nothing."""

    kept_count = 0

    def step(self, projected, states, weights, dropout):
        h, c = states
        parts = tf.split(projected + weights.times(dropped(h, dropout)), 4, axis=-1)
        functions = [activation.function for activation in self._gate_activations.of_gates]
        gates = Gates(*(function(part) for function, part in zip(functions, parts, strict=True)))
        return memory_cell(gates, c, self.activation), ()
