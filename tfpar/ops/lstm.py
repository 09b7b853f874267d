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
from tfpar.ops.materialization import as_it_is
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, dropped, side_by_side, summed_outer


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
    has_outputs = True

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

    def outputs(self, kept, other_states):
        return self._values(kept).output * self.activation.function(other_states[0])

    def step_gradient(self, gradients, states, previous, kept, transposed, dropout, materialized=as_it_is):
        (dh, dc), (h, c), kept = gradients, states, materialized(kept[0])
        gates, read = self._values(kept), self.activation.kept(c)
        dc = materialized(dc + dh * gates.output * self.activation.derivative(read))
        # tanh(c) o' = h (1 - o) if o is a sigmoid, and only dc needs tanh(c).
        by_value = (False, False, False, True) if (self._gate_activations.sigmoids or [False])[-1] else None
        d_output = dh * (h if by_value else self.activation.value(read))
        d_gates = [dc * gates.candidate, dc * previous[1], dc * gates.input, d_output]
        dz = side_by_side(d_gates) * self._gate_activations.derivative(kept, by_value)
        return dz, (dropped(tf.matmul(dz, transposed), dropout), dc * gates.forget)

    def weight_gradients(self, d_projected, kept, previous, dropout):
        return RecurrentWeights(summed_outer(dropped(previous, dropout), d_projected))

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
