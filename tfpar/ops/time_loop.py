"""The sequential evaluation of a recurrence, forward and backward, each as one loop over time.

Automatic differentiation of such a loop adds a weight-gradient matmul to each step, and under XLA it costs time
quadratic in the number of steps, since each step copies the whole stack. The gradient here is written by hand, and the
gradients of the weights are one matmul over all steps after the backward loop.

What belongs to a step is computed within it, while its operands are in the cache, and a step's activated gates take the
place of its projection, and its gradients that of the gates: memory is what training waits for.
"""

import dataclasses
import functools

import tensorflow as tf

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
        step = functools.partial(recurrence.step, weights=weights, dropout=dropout)
        final_states, states, kept = _forward(step, recurrence.kept_count, projected, bias, initial_states, mask, order)

        def gradient(*d_outputs):
            d_sequence, d_final_states = (d_outputs[0], d_outputs[1:]) if returns_sequence else (None, d_outputs)
            # Transposed here, once: a matmul by a transposed operand takes half as long again, at each step.
            transposed = tf.transpose(weights.kernel)

            def step_gradient(t, d_states, kept):
                now, before = ([stack[place] for stack in states] for place in (order.after(t), order.before(t)))
                return recurrence.step_gradient(d_states, now, before, kept, transposed, dropout)

            left, d_initial_states = _backward(step_gradient, d_sequence, d_final_states, kept, mask, order)
            left = [tf.ensure_shape(stack, like.shape) for stack, like in zip(left, kept, strict=True)]
            d_weights = recurrence.weight_gradients(left, order.all_before(states[0]), dropout)
            return left[0], tf.reduce_sum(left[0], [0, 1]), *d_initial_states, *d_weights[: len(present)]

        return ((order.all_after(states[0]), *final_states) if returns_sequence else final_states), gradient

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


def _forward(step, kept_count, projected, bias, initial_states, mask, order):
    """Returns the final states, and stacks of all states, initial ones included, and of all that `step` kept."""
    steps, state_count = order.steps, len(initial_states)

    def body(turn, states, stacks):
        t = order.step(turn)
        new, kept = step(stacks[state_count].read(t) + bias, states)
        states = select(_row(mask, t), new, states)
        places = [order.after(t)] * state_count + [t] * kept_count
        written = zip(stacks, places, (*states, *kept), strict=True)
        return turn + 1, states, tuple(stack.write(place, tensor) for stack, place, tensor in written)

    def stack_of(size):
        return tf.TensorArray(projected.dtype, size)

    # The states before each step are then a slice of the stack, and need not be put together.
    stacks = [stack_of(steps + 1).write(order.before(order.step(0)), state) for state in initial_states]
    stacks += [stack_of(steps).unstack(projected)] + [stack_of(steps) for _ in range(kept_count - 1)]
    _, final_states, stacks = tf.while_loop(
        lambda turn, *_: turn < steps, body, (0, tuple(initial_states), tuple(stacks)), maximum_iterations=steps
    )
    stacks = tuple(stack.stack() for stack in stacks)
    return final_states, stacks[:state_count], stacks[state_count:]


def _backward(step_gradient, d_sequence, d_final_states, kept, mask, order):
    """Runs `step_gradient(t, d_states, kept[t])` from the step that was processed last to the first.

    What is kept of a step is read in the turn before, behind that one's write. So nothing that reads the stack can come
    after a write to it, and XLA writes in place; otherwise it would copy the whole stack at each step.

    Returns:
        Stacks of what it left in the places of `kept`, and dL/d initial states.
    """

    def body(turn, d_states, kept, stacks):
        t = order.step(turn)
        if d_sequence is not None:
            d_states = (d_states[0] + d_sequence[t], *d_states[1:])
        left, d_previous = step_gradient(t, d_states, kept)
        left = select(_row(mask, t), left, map(tf.zeros_like, left))
        # A masked step hands its gradient on untouched, as it handed on its states.
        d_states = select(_row(mask, t), d_previous, d_states)
        stacks = tuple(stack.write(t, tensor) for stack, tensor in zip(stacks, left, strict=True))
        following = order.step(tf.maximum(turn - 1, 0))
        return turn - 1, d_states, tuple(stack.read(following) for stack in stacks), stacks

    stacks = tuple(tf.TensorArray(stack.dtype, order.steps, clear_after_read=False).unstack(stack) for stack in kept)
    last = tuple(stack.read(order.step(order.steps - 1)) for stack in stacks)
    _, d_initial_states, _, stacks = tf.while_loop(
        lambda turn, *_: turn >= 0,
        body,
        (order.steps - 1, tuple(d_final_states), last, stacks),
        maximum_iterations=order.steps,
    )
    return [stack.stack() for stack in stacks], d_initial_states


def _row(mask, t):
    return None if mask is None else mask[t]


def select(is_valid: tf.Tensor | None, valid: Tensors, masked: Tensors) -> Tensors:
    """Row by row `valid` where `is_valid`, bool (batch,), else `masked`; all of `valid` if there is no mask."""
    if is_valid is None:
        return tuple(valid)
    return tuple(tf.where(is_valid[:, None], v, m) for v, m in zip(valid, masked, strict=True))
