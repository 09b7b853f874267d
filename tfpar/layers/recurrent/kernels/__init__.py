"""Kernels: implementations of a whole recurrent layer, each a function from a `Job` to a `Result`.

`tfpar.layers.recurrent.policy` chooses among them. "fused", "loop", "chunked" and "unrolled" are also the forms of a
recurrence in a TFLite file.
"""

import dataclasses

import tensorflow as tf

from tfpar.layers.call_context import call_context, is_exporting_file
from tfpar.layers.recurrent.kernels.chunked import run_chunked_loop
from tfpar.layers.recurrent.kernels.chunkwise import run_chunkwise
from tfpar.layers.recurrent.kernels.cudnn import run_cudnn
from tfpar.layers.recurrent.kernels.fused import run_fused
from tfpar.layers.recurrent.kernels.job import Job, Kernel, Result
from tfpar.layers.recurrent.kernels.loop import run_inference_loop
from tfpar.layers.recurrent.kernels.loops import initial_states
from tfpar.layers.recurrent.kernels.newton import describe_solution, run_diagonal_loop, run_newton, run_quasi_newton
from tfpar.layers.recurrent.kernels.scan import SCANS
from tfpar.layers.recurrent.kernels.sliced import run_on_slice
from tfpar.layers.recurrent.kernels.training_loop import run_training_loop
from tfpar.layers.recurrent.kernels.unrolled import run_unrolled

__all__ = ["KERNELS", "Job", "Kernel", "Result", "describe_solution", "run_job"]

KERNELS: dict[str, Kernel] = {
    "training_loop": run_training_loop,
    "cudnn": run_cudnn,
    "loop": run_inference_loop,
    "chunked": run_chunked_loop,
    "unrolled": run_unrolled,
    "fused": run_fused,
    "chunkwise": run_chunkwise,
    "newton": run_newton,
    "diagonal_loop": run_diagonal_loop,
    "quasi_newton": run_quasi_newton,
    **SCANS,
}


def run_job(kernel: str, job: Job) -> Result:
    """Run a job by a kernel, or on this replica's steps if replicas divide the time axis."""
    time_slice = call_context().time_slice
    if time_slice is not None:
        return run_on_slice(kernel, job, time_slice)
    steps = job.inputs.shape[1]
    if steps == 0:
        return _run_no_step(job)
    return KERNELS[kernel](job) if steps or is_exporting_file() else _run_unknown_steps(KERNELS[kernel], job)


def _run_no_step(job: Job) -> Result:
    """Return the initial states; XLA refuses loops over no steps."""
    states = initial_states(job)
    sequence = tf.zeros_like(states[0])[:, None][:, :0] if job.returns_sequence else None
    return Result(sequence, states[0], states)


def _run_unknown_steps(kernel: Kernel, job: Job) -> Result:
    """Run a number of steps that is unknown so far: if there is none, the kernel sees one, and its result is ignored.

    An XLA program knows the number when it is compiled, and has none of these operations.
    """
    steps = tf.shape(job.inputs)[1]
    added = [[0, 0], [0, tf.cast(tf.equal(steps, 0), tf.int32)]]
    mask = None if job.mask is None else tf.pad(job.mask, added)
    result = kernel(dataclasses.replace(job, inputs=tf.pad(job.inputs, [*added, [0, 0]]), mask=mask))
    before = initial_states(job)

    def keep(new, old):
        return tf.where(steps > 0, new, old)

    sequence = None if result.sequence is None else result.sequence[:, :steps]
    states = tuple(map(keep, result.states, before))
    return Result(sequence, keep(result.last, before[0]), states)
