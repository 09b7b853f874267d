"""The pipeline that runs any recurrence over sequences that are divided over replicas.

Replica p has slice p of the time axis, and cannot begin before it has the states after slice p - 1. So the rows of a
batch are cut into microbatches: in iteration i replica p runs microbatch i - p, and then passes its states on (Huang et
al. 2019, GPipe, arXiv:1811.06965, over time steps instead of layers). With m microbatches and n replicas a replica
computes in m of m + n - 1 iterations. The gradient runs in the other direction, and computes each microbatch again, so
that only states are stored.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfpar.ops.recurrence import Tensors
from tfpar.ops.time_slice import TimeSlice

# Function of a microbatch's rows, states and weights; it returns outputs float (batch, time, units) and final states.
RunMicrobatch = Callable[[list, Tensors, list[tf.Tensor]], tuple[tf.Tensor, Tensors]]


def run_pipeline(
    run: RunMicrobatch,
    inputs: tf.Tensor,
    constants: Sequence[tf.Tensor | None],
    initial_states: Tensors,
    weights: Sequence[tf.Tensor],
    time_slice: TimeSlice,
) -> tuple[tf.Tensor, Tensors]:
    """Run a recurrence over the steps of this slice, differentiable in `inputs`, `initial_states` and `weights`.

    Args:
        run: see `RunMicrobatch`; its rows are those of `inputs`, and then those of `constants`.
        inputs: float (batch, time, features).
        constants: tensors (batch, ...) without gradient, or None, such as a mask.
        initial_states: float (batch, ...) each; equal on all replicas.
        weights: tensors.
        time_slice: of this replica.

    Returns:
        float (batch, time, units), outputs of this slice's steps; and the states after the last slice, equal on
        all replicas.
    """
    plan = _Plan(inputs, initial_states, time_slice)
    forward, backward = time_slice.compile(run), time_slice.compile(_make_gradient(run))

    @time_slice.differentiable
    def differentiable(inputs, *tensors):
        initial, weights = tensors[: len(initial_states)], list(tensors[len(initial_states) :])
        rows = [plan.cut_all([inputs, *constants], m) for m in range(plan.microbatches)]
        outputs, final, starts = _run_forward(plan, forward, rows, initial, weights)

        def gradient(d_outputs, *d_finals):
            ends = plan.sum_over_slices(d_finals)
            d_inputs, d_initial, d_weights = _run_backward(plan, backward, rows, starts, weights, d_outputs, ends)
            return d_inputs, *d_initial, *d_weights

        return (outputs, *final), gradient

    output, *states = differentiable(inputs, *initial_states, *weights)
    return output, tuple(states)


def _run_forward(plan: "_Plan", forward: RunMicrobatch, rows: Sequence, initial: Tensors, weights: list) -> tuple:
    """Run all iterations forward.

    Args:
        plan: of this replica.
        forward: computes a microbatch.
        rows: of each microbatch.
        initial: states before the first slice.
        weights: tensors.

    Returns:
        Outputs of all rows, the states after the last slice, and the states before this slice of each microbatch.
    """
    numbers = range(plan.microbatches)
    starts: list[Any] = [plan.cut_all(initial, m) if plan.is_first else None for m in numbers]
    outputs: list[Any] = [None for _ in numbers]
    finals: list[Any] = [None for _ in numbers]
    for iteration in range(plan.iterations):
        own = plan.microbatch(iteration, plan.position)
        states = None
        if own is not None:
            outputs[own], states = forward(rows[own], tuple(starts[own]), weights)
        gathered = plan.exchange(states)
        before = plan.microbatch(iteration, plan.position - 1)
        if not plan.is_first and before is not None:
            starts[before] = plan.unpack(gathered[plan.position - 1], before)
        last = plan.microbatch(iteration, plan.time_slice.count - 1)
        if last is not None:
            finals[last] = plan.unpack(gathered[-1], last)
    return tf.concat(outputs, axis=0), _concat_rows(finals), starts


def _run_backward(
    plan: "_Plan",
    backward: Callable,
    rows: Sequence,
    starts: Sequence,
    weights: list,
    d_outputs: tf.Tensor,
    d_final: Sequence[tf.Tensor],
) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
    """Run all iterations backward.

    Args:
        plan: of this replica.
        backward: computes the gradients of a microbatch: see `_make_gradient`.
        rows, starts: of each microbatch, and its states before this slice.
        weights: tensors.
        d_outputs: gradient by the outputs of this slice.
        d_final: gradients by the states after the last slice.

    Returns:
        Gradients by inputs, initial states and weights; those of all replicas add up to the whole gradient.
    """
    numbers = range(plan.microbatches)
    d_inputs: list[Any] = [None for _ in numbers]
    d_states: list[Any] = [None for _ in numbers]
    d_weights = [tf.zeros_like(weight) for weight in weights]
    d_ends: list[Any] = [plan.cut_all(d_final, m) if plan.is_last else None for m in numbers]
    for iteration in reversed(range(plan.iterations)):
        own = plan.microbatch(iteration, plan.position)
        if own is not None:
            d_output = plan.cut(d_outputs, own)
            d_inputs[own], d_states[own], more = backward(
                rows[own], tuple(starts[own]), weights, d_output, tuple(d_ends[own])
            )
            d_weights = [total + each for total, each in zip(d_weights, more, strict=True)]
        gathered = plan.exchange(None if own is None else d_states[own])
        after = plan.microbatch(iteration, plan.position + 1)
        if not plan.is_last and after is not None:
            d_ends[after] = plan.unpack(gathered[plan.position + 1], after)
    d_initial = _concat_rows(d_states)
    if not plan.is_first:  # the first replica has the whole gradient
        d_initial = [tf.zeros_like(each) for each in d_initial]
    return tf.concat(d_inputs, axis=0), d_initial, d_weights


def _concat_rows(of_microbatches: Sequence[Sequence[tf.Tensor]]) -> list[tf.Tensor]:
    """Concatenate the rows of each state."""
    return [tf.concat(pieces, axis=0) for pieces in zip(*of_microbatches, strict=True)]


def _make_gradient(run: RunMicrobatch) -> Callable:
    """Make the function of a microbatch's gradients, which computes the microbatch again."""

    def backward(rows, states, weights, d_output, d_states):
        inputs, *constants = rows
        sources = [inputs, *states, *weights]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            output, final = run([inputs, *constants], states, weights)
        gradients = tape.gradient(
            [output, *final], sources, [d_output, *d_states], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return gradients[0], tuple(gradients[1 : 1 + len(states)]), gradients[1 + len(states) :]

    return backward


class _Plan:
    """Which microbatch each replica runs in each iteration, and the rows of each microbatch."""

    def __init__(self, inputs: tf.Tensor, states: Tensors, time_slice: TimeSlice):
        self.time_slice, self.position, self._states = time_slice, time_slice.index, states
        self._rows = inputs.shape[0] or tf.shape(inputs)[0]
        most, known_rows = 2 * time_slice.count, time_slice.most_rows or inputs.shape[0]
        self.microbatches = min(most, known_rows) if known_rows else most
        self._size = -(-self._rows // self.microbatches)
        self.iterations = self.microbatches + time_slice.count - 1
        self.is_first, self.is_last = self.position == 0, self.position == time_slice.count - 1

    def microbatch(self, iteration: int, position: int) -> int | None:
        """Return the microbatch that the replica at a position runs in an iteration, or None."""
        index = iteration - position
        return index if 0 <= index < self.microbatches else None

    def cut(self, tensor: tf.Tensor | None, microbatch: int) -> tf.Tensor | None:
        """Return the rows of a microbatch; the last ones may have fewer rows, or none."""
        begin = microbatch * self._size
        return None if tensor is None else tensor[begin : begin + self._size]

    def cut_all(self, tensors: Sequence, microbatch: int) -> list:
        """Return the rows of a microbatch of each tensor."""
        return [self.cut(tensor, microbatch) for tensor in tensors]

    def exchange(self, states: Sequence[tf.Tensor] | None) -> list[list[tf.Tensor]]:
        """Gather the states of one microbatch of each replica; zeros from idle replicas.

        They are padded to equally many rows.
        """
        if states is None:
            padded = [tf.zeros([self._size, *each.shape[1:]], each.dtype) for each in self._states]
        else:
            padded = [tf.pad(each, [[0, self._size - tf.shape(each)[0]], [0, 0]]) for each in states]
        return self.time_slice.gather(padded)

    def unpack(self, gathered: Sequence[tf.Tensor], microbatch: int) -> list[tf.Tensor]:
        """Return the rows of a microbatch of gathered states."""
        own: list[Any] = [self.cut(each, microbatch) for each in self._states]
        return [tf.ensure_shape(each[: tf.shape(o)[0]], o.shape) for each, o in zip(gathered, own, strict=True)]

    def sum_over_slices(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Add the tensors of all replicas."""
        gathered = self.time_slice.gather(tensors)
        return [tf.add_n(list(each)) for each in zip(*gathered, strict=True)]
