"""The sequential evaluation of a recurrence, forward and backward, each as one loop over time.

Automatic differentiation of such a loop adds a weight-gradient matmul to each step. Under XLA its time is quadratic in
the number of steps, since each step copies the stack of all steps. Here the gradient is written by hand, and the
gradients of the weights are one matmul over all steps after the backward loop.

Activated gates overwrite the projections in place, and gate gradients overwrite the gates, because training is
memory-bound.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.materialization import make_materializer
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors


def time_loop(
    recurrence: Recurrence,
    x_proj: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    dropout: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
    go_backwards: bool = False,
    returns_sequence: bool = True,
    *,
    find_states: Callable[..., tf.Tensor] | None = None,
) -> tuple[tf.Tensor | None, Tensors]:
    """Run a recurrence through time, differentiable in `x_proj`, `initial_states`, `weights` and `bias`.

    Args:
        recurrence: one step.
        x_proj: float (time, batch, gates * units), x[t] W + b for all t, or without b.
        initial_states: `recurrence.num_states` tensors, float (batch, units); the states before the step that is
            processed first.
        weights: the recurrent weights.
        mask: bool (time, batch), or None. Where it is False the states do not change.
        dropout: float (batch, units), the scaled recurrent dropout mask, or None.
        bias: float (gates * units,), b if the loop has to add it, which is free within a step; or None.
        go_backwards: start with the last step. No tensor is reversed: index t of `x_proj` and of the result is step t
            in either direction.
        returns_sequence: False saves the backward loop a stack of zero gradients.
        find_states: maps `x_proj + bias`, initial states, weights and mask to the states of all steps, float (time,
            batch, states, units), in place of the forward loop; only without `dropout` and `go_backwards`.

    Returns:
        float (time, batch, units), h of each step, or None; and the states after the step that is processed last.
    """
    order = _ScanOrder(tf.shape(x_proj)[0], go_backwards)

    @tf.custom_gradient
    def differentiable(x_proj, bias, *tensors):
        initial_states = tensors[: recurrence.num_states]
        weights = RecurrentWeights(*tensors[recurrence.num_states :])

        def step(x_proj, states, force_materialize):
            # A recomputed sum would read `x_proj` after the gates have overwritten it.
            x_proj = x_proj + bias if recurrence.saves_outputs else force_materialize(x_proj + bias)
            return recurrence.step(x_proj, states, weights, dropout)

        if find_states is None:
            final_states, gates, stacks = _forward(recurrence, step, x_proj, initial_states, mask, order)
        else:
            states = find_states(x_proj + bias, initial_states, weights, mask)
            final_states, gates, stacks = _step_from(recurrence, x_proj + bias, initial_states, weights, states)

        def gradient(*d_outputs):
            d_sequence, d_final_states = (d_outputs[0], d_outputs[1:]) if returns_sequence else (None, d_outputs)
            step_gradient = _make_step_gradient(recurrence, weights, dropout, stacks, order)
            d_x_proj, d_initial_states = _backward(step_gradient, d_sequence, d_final_states, gates, mask, order)
            d_x_proj = tf.ensure_shape(d_x_proj, x_proj.shape)
            residuals = tuple(order.rows_after(stack) for stack in stacks.residuals)
            d_weights = recurrence.weight_gradients(d_x_proj, residuals, order.rows_before(stacks.outputs), dropout)
            return d_x_proj, tf.reduce_sum(d_x_proj, [0, 1]), *d_initial_states, *d_weights[: len(present)]

        return ((order.rows_after(stacks.outputs), *final_states) if returns_sequence else final_states), gradient

    present = [tensor for tensor in weights if tensor is not None]
    bias = tf.zeros(x_proj.shape[-1:], x_proj.dtype) if bias is None else bias
    outputs = differentiable(x_proj, bias, *initial_states, *present)
    return (outputs[0], tuple(outputs[1:])) if returns_sequence else (None, tuple(outputs))


def _make_step_gradient(recurrence, weights, dropout, stacks, order):
    """Make the function of the backward loop's body: the gradients of one step."""
    # Transposed once: a matmul by a transposed operand at each step takes 1.5 times as long.
    transposed = tf.transpose(weights.kernel)

    def step_gradient(t, d_states, gates, force_materialize):
        states, residuals = stacks.at(order.index_after(t))
        previous, _ = stacks.at(order.index_before(t))
        residuals = (gates, *residuals)
        return recurrence.step_gradient(d_states, states, previous, residuals, transposed, dropout, force_materialize)

    return step_gradient


@dataclasses.dataclass(frozen=True)
class _ScanOrder:
    """Maps loop iterations to time steps, and time steps to rows of the state stack.

    The stack has one extra row for the initial states: the first, or the last if the loop goes backwards.
    """

    steps: tf.Tensor
    go_backwards: bool

    def step(self, iteration):
        return self.steps - 1 - iteration if self.go_backwards else iteration

    def index_before(self, t):
        return t + 1 if self.go_backwards else t

    def index_after(self, t):
        return t if self.go_backwards else t + 1

    def rows_before(self, stack):
        return stack[1:] if self.go_backwards else stack[:-1]

    def rows_after(self, stack):
        return stack[:-1] if self.go_backwards else stack[1:]

    def add_initial(self, initial, outputs):
        return tf.concat([outputs, initial[None]] if self.go_backwards else [initial[None], outputs], axis=0)


class _Stacks(NamedTuple):
    """All state-shaped tensors of all steps, with one extra row for the initial states.

    Attributes:
        stack: float (time + 1, tensors, batch, units): states, then residuals other than the gates.
        num_states: how many of the tensors are states.
        recomputed_outputs: float (time + 1, batch, units), h, if it is not the first tensor of the stack.
    """

    stack: tf.Tensor
    num_states: int
    recomputed_outputs: tf.Tensor | None

    @property
    def outputs(self) -> tf.Tensor:
        return self.stack[:, 0] if self.recomputed_outputs is None else self.recomputed_outputs

    @property
    def residuals(self) -> list[tf.Tensor]:
        return tf.unstack(self.stack, axis=1)[self.num_states :]

    def at(self, index: tf.Tensor) -> tuple[Tensors, Tensors]:
        """Return states and residuals at an index. Separate stacks of each tensor would be copies."""
        tensors = tf.unstack(self.stack[index])
        outputs = [] if self.recomputed_outputs is None else [self.recomputed_outputs[index]]
        return (*outputs, *tensors[: self.num_states]), tuple(tensors[self.num_states :])


def _forward(recurrence, step, x_proj, initial_states, mask, order):
    """Return the final states, the gates' residuals in the buffer of `x_proj`, and `_Stacks`.

    All state-shaped tensors of a step are written at once, at the index of the states after the step.
    """
    steps = order.steps
    # h of a masked step is that of the step before, so it cannot be recomputed.
    stacks_h = mask is not None or not recurrence.recomputes_h
    stacked = slice(0 if stacks_h else 1, None)
    # Gates have their own axis in the stack: XLA then writes the results of several kernels in one fast kernel.
    units = initial_states[0].shape[-1]
    flat, per_gate = [-1, recurrence.num_gates * units], [-1, recurrence.num_gates, units]

    def body(iteration, states, gates, stack):
        t = order.step(iteration)
        x_t = tf.reshape(gates.read(t), flat)
        new, (residual, *others) = step(x_t, states, make_materializer(iteration))
        states = select(_row(mask, t), new, states)
        stack = stack.write(order.index_after(t), tf.stack([*states[stacked], *others]))
        return iteration + 1, states, gates.write(t, tf.reshape(residual, per_gate)), stack

    others = [tf.zeros_like(initial_states[0])] * (recurrence.num_residuals - 1)
    initial = tf.stack([*initial_states[stacked], *others])
    # With the initial states in the stack, the states before each step are a slice of it and need no concatenation.
    stack = tf.TensorArray(x_proj.dtype, steps + 1).write(order.index_before(order.step(0)), initial)
    shape = tf.shape(x_proj)
    gates = tf.TensorArray(x_proj.dtype, steps).unstack(tf.reshape(x_proj, [*tf.unstack(shape[:2]), *per_gate[1:]]))
    _, final_states, gates, stack = tf.while_loop(
        lambda iteration, *_: iteration < steps,
        body,
        (tf.constant(0), tuple(initial_states), gates, stack),
        maximum_iterations=steps,
    )
    gates, stack = tf.reshape(gates.stack(), shape), stack.stack()
    recomputed = None
    if not stacks_h:
        outputs = recurrence.recompute_h(gates, [order.rows_after(states) for states in tf.unstack(stack, axis=1)])
        recomputed = order.add_initial(initial_states[0], outputs)
    return final_states, gates, _Stacks(stack, len(initial_states[stacked]), recomputed)


def _step_from(recurrence, x_proj, initial_states, weights, states):
    """Compute the results of `_forward` from the states after all steps, as one step of a large batch."""
    states = tf.concat([tf.stack(initial_states, axis=-2)[None], states], axis=0)
    before = [tf.reshape(state, [-1, state.shape[-1]]) for state in tf.unstack(states[:-1], axis=-2)]
    _, residuals = recurrence.step(tf.reshape(x_proj, [-1, x_proj.shape[-1]]), tuple(before), weights, None)
    gates, *others = (
        tf.reshape(residual, [*tf.unstack(tf.shape(x_proj)[:2]), residual.shape[-1]]) for residual in residuals
    )
    others = [tf.pad(residual, [[1, 0], [0, 0], [0, 0]]) for residual in others]
    stack = tf.stack([*tf.unstack(states, axis=-2), *others], axis=1)
    return tuple(tf.unstack(states[-1], axis=-2)), gates, _Stacks(stack, recurrence.num_states, None)


def _backward(step_gradient, d_sequence, d_final_states, gates, mask, order):
    """Run `step_gradient(t, d_states, gates[t])` from the step that was processed last to the first.

    Materializing the values read at a step forces XLA to read them before it overwrites them with the gradient;
    otherwise it copies the whole stack at each step.

    Returns:
        dL/d x_proj, in the buffer of `gates`, and dL/d initial states.
    """

    def body(iteration, d_states, stack):
        t = order.step(iteration)
        if d_sequence is not None:
            d_states = (d_states[0] + d_sequence[t], *d_states[1:])
        d_x_proj, d_previous = step_gradient(t, d_states, stack.read(t), make_materializer(iteration))
        (d_x_proj,) = select(_row(mask, t), (d_x_proj,), (tf.zeros_like(d_x_proj),))
        # A masked step copies its states forward, so it copies their gradient backward.
        return iteration - 1, select(_row(mask, t), d_previous, d_states), stack.write(t, d_x_proj)

    stack = tf.TensorArray(gates.dtype, order.steps, clear_after_read=False).unstack(gates)
    _, d_initial_states, stack = tf.while_loop(
        lambda iteration, *_: iteration >= 0,
        body,
        (order.steps - 1, tuple(d_final_states), stack),
        maximum_iterations=order.steps,
    )
    return stack.stack(), d_initial_states


def _row(mask, t):
    return None if mask is None else mask[t]


def select(is_valid: tf.Tensor | None, valid: Tensors, masked: Tensors) -> Tensors:
    """Select rows of `valid` where `is_valid`, bool (batch,), and of `masked` elsewhere; None selects `valid`."""
    if is_valid is not None:
        valid = tuple(tf.where(is_valid[:, None], v, m) for v, m in zip(valid, masked, strict=True))
    for tensor, loop_variable in zip(valid, masked, strict=True):
        tensor.set_shape(loop_variable.shape)  # a static number of rows stays one within a loop
    return tuple(valid)
