"""The kernel `loop`: a loop over time for inference."""

import functools

from tfpar.layers.recurrent.kernels.job import Job, Result
from tfpar.layers.recurrent.kernels.loops import run_loop, run_reversed
from tfpar.ops.inference_loop import inference_loop


@run_reversed
def run_inference_loop(job: Job) -> Result:
    """Run one loop over all steps, without residuals."""
    return run_loop(functools.partial(inference_loop, returns_sequence=job.returns_sequence), job, job.bias)
