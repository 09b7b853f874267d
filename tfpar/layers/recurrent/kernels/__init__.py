"""Kernels: implementations of a whole recurrent layer, each a function from a `Job` to a `Result`.

`tfpar.layers.recurrent.policy` chooses among them. "fused", "loop", "chunked" and "unrolled" are also the forms of a
recurrence in a TFLite file.
"""

import tensorflow as tf

from tfpar.layers.call_context import call_context
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
    if job.inputs.shape[1] == 0 and time_slice is None:
        return _run_no_step(job)
    return KERNELS[kernel](job) if time_slice is None else run_on_slice(kernel, job, time_slice)


def _run_no_step(job: Job) -> Result:
    """Return the initial states; XLA refuses loops over no steps."""
    states = initial_states(job)
    sequence = tf.zeros_like(states[0])[:, None][:, :0] if job.returns_sequence else None
    return Result(sequence, states[0], states)
