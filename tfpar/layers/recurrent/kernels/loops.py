"""Conversions between jobs and the arguments and outputs of loops over time, common to several kernels."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tfpar.layers.call_context import is_exporting_file
from tfpar.layers.recurrent.kernels.job import Job, Kernel, Result
from tfpar.ops.masking import mask_last_output, mask_outputs
from tfpar.ops.recurrence import RecurrentWeights, Tensors, project


def run_loop(loop: Callable, job: Job, bias: tf.Tensor | None) -> Result:
    """Run a job by a loop of `tfpar.ops`.

    Args:
        loop: takes a recurrence and `loop_arguments`; returns the sequence and the final states.
        job: the job.
        bias: of the input projection, unless the loop adds it.
    """
    recurrence = job.recurrence.for_interpreter() if is_exporting_file() else job.recurrence
    *arguments, mask = loop_arguments(job, bias)
    sequence, states = loop(recurrence, *arguments, mask)
    return make_loop_result(job, sequence, states, mask)


def loop_arguments(job: Job, bias: tf.Tensor | None) -> tuple[tf.Tensor, Tensors, RecurrentWeights, tf.Tensor | None]:
    """Build a loop's arguments: projected inputs (all steps in one matmul), initial states, weights, mask."""
    inputs = tf.transpose(job.inputs, [1, 0, 2])
    mask = None if job.mask is None else tf.transpose(job.mask)
    return project(inputs, job.kernel, bias), initial_states(job), job.weights, mask


def initial_states(job: Job) -> Tensors:
    """Return the job's initial states, or zeros."""
    batch = job.inputs.shape[0] or tf.shape(job.inputs)[0]
    return job.initial_states or tuple(tf.zeros((batch, size), job.inputs.dtype) for size in job.state_sizes)


def make_loop_result(job: Job, sequence: tf.Tensor | None, states: Tensors, mask: tf.Tensor | None) -> Result:
    """Wrap a loop's outputs.

    Leading masked steps need no masking if the initial states are zero, or if they continue a sequence, whose last
    valid output they repeat.
    """
    is_masked = (job.initial_states is None or job.is_continuation) and not job.zero_output_for_mask
    return make_result(job, sequence, states, None if is_masked else mask)


def make_result(job: Job, sequence: tf.Tensor | None, states: Tensors, mask: tf.Tensor | None) -> Result:
    """Wrap outputs and states, with Keras' outputs at masked steps.

    Args:
        job: the job.
        sequence: float (time, batch, units), in order of time; or None.
        states: the final states, h first.
        mask: bool (time, batch), or None if the outputs are masked.
    """
    last = states[0] if mask is None else mask_last_output(states[0], mask, job.zero_output_for_mask, job.go_backwards)
    if not job.returns_sequence:
        return Result(None, last, states)
    if mask is not None:
        sequence = mask_outputs(sequence, mask, job.zero_output_for_mask, job.go_backwards)
    sequence = tf.transpose(sequence, [1, 0, 2])
    sequence.set_shape([*job.inputs.shape[:2], sequence.shape[-1]])  # TFLite does not support ensure_shape
    return Result(sequence, last, states)


def zero_masked_inputs(job: Job) -> Job:
    """Set the inputs at masked steps to zero.

    The gradient of the input kernel multiplies them by zero, and NaN times zero is NaN.
    """
    if job.mask is None:
        return job
    inputs = tf.where(job.mask[:, :, None], job.inputs, tf.zeros_like(job.inputs))
    return dataclasses.replace(job, inputs=inputs)


def run_reversed(kernel: Kernel) -> Kernel:
    """Make a kernel for both directions of a kernel for the forward direction, by reversing the steps."""
    return lambda job: restore_order(kernel(make_forward(job)), job)


def make_forward(job: Job) -> Job:
    """Reverse the steps of a backward job; return a forward job unchanged."""
    if not job.go_backwards:
        return job
    mask = None if job.mask is None else tf.reverse(job.mask, [1])
    return dataclasses.replace(job, inputs=tf.reverse(job.inputs, [1]), mask=mask, go_backwards=False)


def restore_order(result: Result, job: Job) -> Result:
    """Reverse the sequence of `make_forward(job)`'s result if the job is a backward one."""
    if result.sequence is None or not job.go_backwards:
        return result
    return result._replace(sequence=tf.reverse(result.sequence, [1]))
