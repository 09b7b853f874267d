"""The kernel `unrolled`: all steps in the graph, without a loop."""

import functools

from tfpar.layers.recurrent.kernels.job import Job, Result
from tfpar.layers.recurrent.kernels.loops import run_loop, run_reversed
from tfpar.ops.inference_loop import unrolled_loop


@run_reversed
def run_unrolled(job: Job) -> Result:
    """Run the steps without a loop; their number is static."""
    return run_loop(functools.partial(unrolled_loop, dropout=job.dropout), job, job.bias)
