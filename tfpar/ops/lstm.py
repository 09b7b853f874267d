"""The LSTM recurrence: a gate module, a memory cell, and their gradients.

    [i f g o] = sigma(x[t] W + h[t-1] U + b)       gate module (tanh instead of sigma for g)
    c[t]      = f * c[t-1] + i * g                 memory cell
    h[t]      = o * tanh(c[t])

W is `kernel`, U `recurrent_kernel`, b `bias`; the gates are in Keras' order.

References:
    Hochreiter & Schmidhuber 1997, Long short-term memory. Gers et al. 2000, Learning to forget (the forget gate f).
"""

from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.activations import Activation, GateActivations
from tfpar.ops.materialization import Materialize, identity
from tfpar.ops.recurrence import (
    Recurrence,
    RecurrentWeights,
    Tensors,
    apply_dropout,
    concatenate_gates,
    sum_outer_products,
)


class Gates(NamedTuple):
    """Activated gates, each float (batch, units)."""

    input: tf.Tensor
    forget: tf.Tensor
    candidate: tf.Tensor
    output: tf.Tensor


def gate_module(preactivation: tf.Tensor, activations: GateActivations) -> tf.Tensor:
    """Activate x[t] W + h[t-1] U + b, float (batch, 4 * units): the residual of all four gates."""
    return activations.residual(preactivation)


def memory_cell(gates: Gates, previous_cell: tf.Tensor, activation: Activation) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute h[t] and c[t], each float (batch, units), from gate values and c[t-1]."""
    cell = gates.forget * previous_cell + gates.input * gates.candidate
    return gates.output * activation.function(cell), cell


class LSTM(Recurrence):
    """The recurrence of the module's equations. States: (h, c).

    Backward, with the derivatives of the gates as i', f', g', o':

        dc[t]   = dc + dh * o * tanh'(c[t])
        dz[t]   = [dc[t], dc[t], dc[t], dh] * [g i', c[t-1] f', i g', tanh(c[t]) o']
        dh, dc  = dz[t] U^T, dc[t] * f

    Args:
        activation: of the candidate and of the cell state.
        recurrent_activation: of the input, forget and output gates.
    """

    name = "lstm"
    num_gates = 4
    num_states = 2
    num_residuals = 1
    recomputes_h = True

    def __init__(self, activation: Activation, recurrent_activation: Activation):
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self._gate_activations = GateActivations(
            (recurrent_activation, recurrent_activation, activation, recurrent_activation)
        )

    def _gates(self, residual) -> Gates:
        return Gates(*tf.split(self._gate_activations.value(residual), 4, axis=-1))

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        h, c = states
        residual = gate_module(x_proj + weights.project(apply_dropout(h, dropout)), self._gate_activations)
        return memory_cell(self._gates(residual), c, self.activation), (residual,)

    def recompute_h(self, residual: tf.Tensor, other_states: Tensors) -> tf.Tensor:
        return self._gates(residual).output * self.activation.function(other_states[0])

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
        (dh, dc), (h, c), residual = gradients, states, force_materialize(residuals[0])
        gates, c_residual = self._gates(residual), self.activation.residual(c)
        dc = force_materialize(dc + dh * gates.output * self.activation.derivative(c_residual))
        # tanh(c) o' = h (1 - o) if o is a sigmoid, and only dc needs tanh(c).
        sigmoids = self._gate_activations.sigmoids
        divide_by_value = (False, False, False, True) if sigmoids and sigmoids[-1] else None
        d_output = dh * (h if divide_by_value else self.activation.value(c_residual))
        d_gates = [dc * gates.candidate, dc * previous[1], dc * gates.input, d_output]
        dz = concatenate_gates(d_gates) * self._gate_activations.derivative(residual, divide_by_value)
        return dz, (apply_dropout(tf.matmul(dz, transposed), dropout), dc * gates.forget)

    def weight_gradients(
        self, d_x_proj: tf.Tensor, residuals: Tensors, previous: tf.Tensor, dropout: tf.Tensor | None
    ) -> RecurrentWeights:
        return RecurrentWeights(sum_outer_products(apply_dropout(previous, dropout), d_x_proj))

    def for_interpreter(self) -> "LSTM":
        return _InferenceLSTM(self.activation, self.recurrent_activation)


class _InferenceLSTM(LSTM):
    """The LSTM for an interpreter: gates are split first, which needs fewer operations. Without residuals."""

    num_residuals = 0

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        h, c = states
        preactivations = tf.split(x_proj + weights.project(apply_dropout(h, dropout)), 4, axis=-1)
        functions = [activation.function for activation in self._gate_activations.per_gate]
        gates = Gates(*(function(z) for function, z in zip(functions, preactivations, strict=True)))
        return memory_cell(gates, c, self.activation), ()
