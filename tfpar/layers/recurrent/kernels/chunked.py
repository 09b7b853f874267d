"""The kernel `chunked`: a loop over chunks of unrolled steps, for inference."""

import functools

from tfpar.layers.recurrent.kernels.job import Job, Result
from tfpar.layers.recurrent.kernels.loops import run_loop, run_reversed
from tfpar.ops.inference_loop import chunked_loop


@run_reversed
def run_chunked_loop(job: Job) -> Result:
    """Run a loop over chunks of steps; the number of steps is static."""
    return run_loop(functools.partial(chunked_loop, returns_sequence=job.returns_sequence), job, job.bias)
