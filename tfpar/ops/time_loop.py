"""The sequential evaluation of a recurrence, forward and backward, each as one loop over time.

Automatic differentiation of such a loop adds a weight-gradient matmul to each step, and under XLA it costs time
quadratic in the number of steps, since each step copies the whole stack. The gradient here is written by hand, and the
gradients of the weights are one matmul over all steps after the backward loop.

What belongs to a step is computed within it, while its operands are in the cache, and a step's activated gates take the
place of its projection, and its gradients that of the gates: memory is what training waits for.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.materialization import materializer
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors


def time_loop(
    recurrence: Recurrence,
    projected: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    dropout: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
    go_backwards: bool = False,
    returns_sequence: bool = True,
) -> tuple[tf.Tensor | None, Tensors]:
    """Runs a recurrence through time, differentiable in `projected`, `initial_states`, `weights` and `bias`.

    Args:
        recurrence: what one step computes.
        projected: float (time, batch, gates * units), x[t] W + b for all t, or without b.
        initial_states: `recurrence.state_count` tensors, float (batch, units); the states before the step that is
            processed first.
        weights: the recurrent weights.
        mask: bool (time, batch), or None. Where it is False the states stay as they were.
        dropout: float (batch, units), the scaled recurrent dropout mask, or None.
        bias: float (gates * units,), b if it is yet to be added, which costs nothing within a step; or None.
        go_backwards: begin with the last step. Nothing is turned around for that: each step finds its projection, and
            leaves its h, in its own place.
        returns_sequence: False spares the backward loop a stack of gradients that are zero.

    Returns:
        float (time, batch, units), h of each step, or None; and the states after the step that is processed last.
    """
    order = _Order(tf.shape(projected)[0], go_backwards)

    @tf.custom_gradient
    def differentiable(projected, bias, *tensors):
        initial_states, weights = (
            tensors[: recurrence.state_count],
            RecurrentWeights(*tensors[recurrence.state_count :]),
        )

        def step(projected, states, materialized):
            # What is computed again would read the place of `projected` after something else has taken it.
            projected = projected + bias if recurrence.keeps_outputs else materialized(projected + bias)
            return recurrence.step(projected, states, weights, dropout)

        final_states, gates, rows = _forward(recurrence, step, projected, initial_states, mask, order)

        def gradient(*d_outputs):
            d_sequence, d_final_states = (d_outputs[0], d_outputs[1:]) if returns_sequence else (None, d_outputs)
            # Transposed here, once: a matmul by a transposed operand takes half as long again, at each step.
            transposed = tf.transpose(weights.kernel)

            def step_gradient(t, d_states, gates, materialized):
                (now, kept), (before, _) = rows.at(order.after(t)), rows.at(order.before(t))
                kept = (gates, *kept)
                return recurrence.step_gradient(d_states, now, before, kept, transposed, dropout, materialized)

            d_projected, d_initial_states = _backward(step_gradient, d_sequence, d_final_states, gates, mask, order)
            d_projected = tf.ensure_shape(d_projected, projected.shape)
            kept = [order.all_after(stack) for stack in rows.kept]
            d_weights = recurrence.weight_gradients(d_projected, kept, order.all_before(rows.outputs), dropout)
            return d_projected, tf.reduce_sum(d_projected, [0, 1]), *d_initial_states, *d_weights[: len(present)]

        return ((order.all_after(rows.outputs), *final_states) if returns_sequence else final_states), gradient

    present = [tensor for tensor in weights if tensor is not None]
    bias = tf.zeros(projected.shape[-1:], projected.dtype) if bias is None else bias
    outputs = differentiable(projected, bias, *initial_states, *present)
    return (outputs[0], tuple(outputs[1:])) if returns_sequence else (None, tuple(outputs))


@dataclasses.dataclass(frozen=True)
class _Order:
    """Which step comes in which turn, and where a stack of states, which is one longer, has those of a step."""

    steps: tf.Tensor
    go_backwards: bool

    def step(self, turn):
        return self.steps - 1 - turn if self.go_backwards else turn

    def before(self, t):
        return t + 1 if self.go_backwards else t

    def after(self, t):
        return t if self.go_backwards else t + 1

    def all_before(self, stack):
        return stack[1:] if self.go_backwards else stack[:-1]

    def all_after(self, stack):
        return stack[:-1] if self.go_backwards else stack[1:]

    def with_initial(self, initial, outputs):
        return tf.concat([outputs, initial[None]] if self.go_backwards else [initial[None], outputs], axis=0)


class _Rows(NamedTuple):
    """All that there is of each step and has the shape of a state; one row more, at either end, has the initial states.

    Attributes:
        stack: float (time + 1, rows, batch, units): states, and what is kept of a step but its gates.
        state_count: how many of the rows are states.
        derived_outputs: float (time + 1, batch, units), h, if it follows from the others; else it is the first row.
    """

    stack: tf.Tensor
    state_count: int
    derived_outputs: tf.Tensor | None

    @property
    def outputs(self) -> tf.Tensor:
        return self.stack[:, 0] if self.derived_outputs is None else self.derived_outputs

    @property
    def kept(self) -> list[tf.Tensor]:
        return tf.unstack(self.stack, axis=1)[self.state_count :]

    def at(self, place: tf.Tensor) -> tuple[Tensors, Tensors]:
        """The states at a place, and what is kept. Whole stacks of one kind would be copies."""
        rows = tf.unstack(self.stack[place])
        outputs = [] if self.derived_outputs is None else [self.derived_outputs[place]]
        return (*outputs, *rows[: self.state_count]), tuple(rows[self.state_count :])


def _forward(recurrence, step, projected, initial_states, mask, order):
    """Returns the final states, what is kept of the gates in the place of `projected`, and `_Rows`.

    All that has the shape of a state is written at once, at the place of the states after the step.
    """
    steps = order.steps
    # A masked step's h is that of the step before.
    stacks_outputs = mask is not None or not recurrence.has_outputs
    stacked = slice(0 if stacks_outputs else 1, None)
    # Gates have an axis in the stack: XLA then writes in one kernel, and fast, what several have computed.
    units = initial_states[0].shape[-1]
    joined, apart = [-1, recurrence.gates * units], [-1, recurrence.gates, units]

    def body(turn, states, gates, rows):
        t = order.step(turn)
        new, (kept, *others) = step(tf.reshape(gates.read(t), joined), states, materializer(turn))
        states = select(_row(mask, t), new, states)
        rows = rows.write(order.after(t), tf.stack([*states[stacked], *others]))
        return turn + 1, states, gates.write(t, tf.reshape(kept, apart)), rows

    others = [tf.zeros_like(initial_states[0])] * (recurrence.kept_count - 1)
    row = tf.stack([*initial_states[stacked], *others])
    # The states before each step are then a slice of the stack, and need not be put together.
    rows = tf.TensorArray(projected.dtype, steps + 1).write(order.before(order.step(0)), row)
    shape = tf.shape(projected)
    gates = tf.TensorArray(projected.dtype, steps).unstack(tf.reshape(projected, [*tf.unstack(shape[:2]), *apart[1:]]))
    _, final_states, gates, rows = tf.while_loop(
        lambda turn, *_: turn < steps,
        body,
        (tf.constant(0), tuple(initial_states), gates, rows),
        maximum_iterations=steps,
    )
    gates, rows = tf.reshape(gates.stack(), shape), rows.stack()
    derived = None
    if not stacks_outputs:
        outputs = recurrence.outputs(gates, [order.all_after(stack) for stack in tf.unstack(rows, axis=1)])
        derived = order.with_initial(initial_states[0], outputs)
    return final_states, gates, _Rows(rows, len(initial_states[stacked]), derived)


def _backward(step_gradient, d_sequence, d_final_states, kept, mask, order):
    """Runs `step_gradient(t, d_states, kept[t])` from the step that was processed last to the first.

    All that is read of a step is read before its gradient is written, since that follows from it, if what is read is
    materialized. So XLA writes in place; otherwise it would copy the whole stack at each step.

    Returns:
        dL/d projected, in the place of `kept`, and dL/d initial states.
    """

    def body(turn, d_states, stack):
        t = order.step(turn)
        if d_sequence is not None:
            d_states = (d_states[0] + d_sequence[t], *d_states[1:])
        d_projected, d_previous = step_gradient(t, d_states, stack.read(t), materializer(turn))
        (d_projected,) = select(_row(mask, t), (d_projected,), (tf.zeros_like(d_projected),))
        # A masked step hands its gradient on untouched, as it handed on its states.
        return turn - 1, select(_row(mask, t), d_previous, d_states), stack.write(t, d_projected)

    stack = tf.TensorArray(kept.dtype, order.steps, clear_after_read=False).unstack(kept)
    _, d_initial_states, stack = tf.while_loop(
        lambda turn, *_: turn >= 0,
        body,
        (order.steps - 1, tuple(d_final_states), stack),
        maximum_iterations=order.steps,
    )
    return stack.stack(), d_initial_states


def _row(mask, t):
    return None if mask is None else mask[t]


def select(is_valid: tf.Tensor | None, valid: Tensors, masked: Tensors) -> Tensors:
    """Row by row `valid` where `is_valid`, bool (batch,), else `masked`; all of `valid` if there is no mask."""
    if is_valid is None:
        return tuple(valid)
    return tuple(tf.where(is_valid[:, None], v, m) for v, m in zip(valid, masked, strict=True))
