"""A layer on a slice of the time axis, where the replicas of strategy "sequence" have the other slices."""

import dataclasses
from typing import cast

import tensorflow as tf

from tfpar.layers.recurrent import placement
from tfpar.layers.recurrent.kernels.job import Job, Kernel, Result
from tfpar.layers.recurrent.kernels.loops import (
    initial_states,
    loop_arguments,
    make_forward,
    restore_order,
    zero_masked_inputs,
)
from tfpar.layers.recurrent.kernels.newton import run_diagonal_loop, run_newton, run_quasi_newton
from tfpar.layers.recurrent.kernels.training_loop import run_training_loop
from tfpar.ops.linear_recurrence import LinearRecurrence
from tfpar.ops.mlstm import MLSTM, chunkwise_mlstm
from tfpar.ops.pipeline import run_pipeline
from tfpar.ops.recurrence import Tensors, project
from tfpar.ops.sliced_scan import sliced_scan
from tfpar.ops.time_slice import TimeSlice

_KERNELS: dict[str, Kernel] = {
    "newton": run_newton,
    "diagonal_loop": run_diagonal_loop,
    "quasi_newton": run_quasi_newton,
}


def run_on_slice(kernel: str, job: Job, time_slice: TimeSlice) -> Result:
    """Run a job on this replica's steps; the job of each replica is the same but for the steps.

    Args:
        kernel: that would run the job if this replica had all steps.
        job: `inputs` and `mask` have the steps of this slice, and the rest is equal on all replicas.
        time_slice: of this replica.

    Returns:
        The sequence of this slice; last output and final states are those of the whole sequence, on each replica.
    """
    forward = make_forward(zero_masked_inputs(job))
    return restore_order(_run_forward(kernel, forward, time_slice.reverse() if job.go_backwards else time_slice), job)


def _run_forward(kernel: str, job: Job, time_slice: TimeSlice) -> Result:
    if isinstance(job.recurrence, LinearRecurrence):
        sequence, states = _run_scan(job, time_slice)
    elif isinstance(job.recurrence, MLSTM) and kernel != "training_loop":
        sequence, states = _run_chunkwise(_add_masked_step(job), time_slice)
        sequence = sequence[:, :-1]
    else:
        may_be_empty = not job.inputs.shape[1]  # unknown, or 0
        padded = _add_masked_step(job) if may_be_empty else job
        sequence, states = _run_pipeline(_KERNELS.get(kernel, run_training_loop), padded, time_slice)
        sequence = sequence[:, :-1] if may_be_empty else sequence
    return _mask_result(job, sequence, states, time_slice)


def _add_masked_step(job: Job) -> Job:
    """Append a masked step, which changes no state: loops need a step, and a slice may have none."""
    mask = tf.ones(tf.shape(job.inputs)[:2], tf.bool) if job.mask is None else job.mask
    inputs, mask = tf.pad(job.inputs, [[0, 0], [0, 1], [0, 0]]), tf.pad(mask, [[0, 0], [0, 1]])
    return dataclasses.replace(job, inputs=inputs, mask=mask)


def _run_scan(job: Job, time_slice: TimeSlice) -> tuple[tf.Tensor, Tensors]:
    """Scan in float32 or wider; one exchange forward and one backward."""
    recurrence = cast(LinearRecurrence, job.recurrence)
    # Projections of transposed inputs take less memory than transposed projections, whose gradients are copied.
    x_proj, (initial,), weights, mask = loop_arguments(job, job.bias)
    dtype = x_proj.dtype
    if dtype.size < 4:
        x_proj, initial = tf.cast(x_proj, tf.float32), tf.cast(initial, tf.float32)

    def coefficients(x_proj, *weights):
        return recurrence.coefficients(x_proj, _pack(job.weights, weights))

    sequence, final = sliced_scan(
        coefficients,
        [x_proj, *_flatten(weights)],
        initial,
        time_slice,
        mask=mask,
        implementation=_choose_implementation(time_slice),
    )
    return tf.transpose(tf.cast(sequence, dtype), [1, 0, 2]), (tf.cast(final, dtype),)


def _choose_implementation(time_slice: TimeSlice) -> str:
    """Choose a loop where XLA for CPUs compiles it, as `tfpar.layers.recurrent.policy` does for whole sequences."""
    return "sequential" if placement.device_type() == "CPU" and time_slice.jit_compile else "associative"


def _run_chunkwise(job: Job, time_slice: TimeSlice) -> tuple[tf.Tensor, Tensors]:
    """Run the chunks of this slice in parallel, with a scan over the chunks of all slices."""

    def scan(a, b, initial, mask=None):
        return sliced_scan(
            lambda *coefficients: coefficients,
            [a, b],
            initial,
            time_slice,
            mask=mask,
            implementation=_choose_implementation(time_slice),
        )

    x_proj, states = project(job.inputs, job.kernel, job.bias), initial_states(job)
    dtype = x_proj.dtype
    if dtype.size < 4:
        x_proj, states = tf.nest.map_structure(lambda tensor: tf.cast(tensor, tf.float32), (x_proj, states))
    sequence, states = chunkwise_mlstm(cast(MLSTM, job.recurrence), x_proj, states, job.mask, chunk=32, scan=scan)
    return tf.nest.map_structure(lambda tensor: tf.cast(tensor, dtype), (sequence, tuple(states)))


def _run_pipeline(kernel: Kernel, job: Job, time_slice: TimeSlice) -> tuple[tf.Tensor, Tensors]:
    """Run microbatches of rows, each from the states that the slice before has sent."""
    has_bias = job.bias is not None

    def run(rows, states, weights):
        inputs, mask, dropout = rows
        kernel_and_bias, weights = weights[: 1 + has_bias], weights[1 + has_bias :]
        result = kernel(
            dataclasses.replace(
                job,
                inputs=inputs,
                mask=mask,
                dropout=dropout,
                kernel=kernel_and_bias[0],
                bias=kernel_and_bias[1] if has_bias else None,
                weights=_pack(job.weights, weights),
                initial_states=tuple(states),
                returns_sequence=True,
                zero_output_for_mask=False,
                is_continuation=True,  # outputs at masked steps are h, as `_mask_result` expects
            )
        )
        return result.sequence, tuple(result.states)

    weights = [job.kernel, *([job.bias] if has_bias else []), *_flatten(job.weights)]
    rows = [job.mask, job.dropout]
    return run_pipeline(run, job.inputs, rows, initial_states(job), weights, time_slice)


def _flatten(weights) -> list[tf.Tensor]:
    return [weight for weight in weights if weight is not None]


def _pack(like, weights):
    """Invert `_flatten`, for weights in the order of `like`."""
    remaining = iter(weights)
    return type(like)(*(None if weight is None else next(remaining) for weight in like))


def _mask_result(job: Job, sequence: tf.Tensor, states: Tensors, time_slice: TimeSlice) -> Result:
    """Replace outputs at masked steps as `tfpar.ops.masking.mask_outputs` does on whole sequences.

    Args:
        job: of this slice.
        sequence: float (batch, time, units), h of each step, copied forward over masked ones.
        states: the final states.
        time_slice: of this replica.
    """
    mask = job.mask
    if mask is None or (job.initial_states is None and not job.zero_output_for_mask):
        return Result(sequence, states[0], states)  # h is zero before the first valid step
    if job.zero_output_for_mask:
        is_visible = mask
        last_is_visible = None if job.returns_sequence else _gather_last_mask(mask, time_slice)
    else:
        has_valid = tf.cast(tf.reduce_any(mask, axis=1), tf.float32)[:, None]
        gathered = [slices[0] > 0 for slices in time_slice.gather([has_valid])]
        earlier = gathered[: time_slice.index]
        valid_here = tf.cumsum(tf.cast(mask, tf.int32), axis=1) > 0
        is_visible = tf.reduce_any([valid_here, *(e | tf.zeros_like(mask) for e in earlier)], axis=0)
        last_is_visible = tf.reduce_any(gathered, axis=0)
    sequence = tf.where(is_visible[:, :, None], sequence, tf.zeros_like(sequence))
    last = states[0] if last_is_visible is None else tf.where(last_is_visible, states[0], tf.zeros_like(states[0]))
    return Result(sequence, last, states)


def _gather_last_mask(mask: tf.Tensor, time_slice: TimeSlice) -> tf.Tensor:
    """Return the mask of the last step of the whole sequence: bool (batch, 1)."""
    column = tf.cast(mask[:, -1:], tf.float32)
    padded = tf.pad(column, [[0, 0], [0, 1 - tf.shape(column)[1]]], constant_values=-1.0)  # -1: a slice without steps
    value = tf.zeros_like(padded)
    for (other,) in time_slice.gather([tf.ensure_shape(padded, [mask.shape[0], 1])]):
        value = tf.where(other < 0, value, other)
    return value > 0
