"""The kernel `training_loop`: the differentiable loop over time."""

import functools

import tensorflow as tf

from tfpar.layers.recurrent import placement
from tfpar.layers.recurrent.kernels.job import Job, Result
from tfpar.layers.recurrent.kernels.loops import run_loop, zero_masked_inputs
from tfpar.ops.autodiff_loop import autodiff_loop
from tfpar.ops.time_loop import time_loop


def run_training_loop(job: Job) -> Result:
    """Run the loop, with the recurrence's own gradient or by automatic differentiation.

    On a GPU outside XLA it is compiled as its own XLA program, since a step that contains cuDNN cannot be compiled.
    """
    job = zero_masked_inputs(job)
    loop = functools.partial(
        time_loop if job.recurrence.has_gradient else autodiff_loop,
        dropout=job.dropout,
        bias=job.bias,
        go_backwards=job.go_backwards,
        returns_sequence=job.returns_sequence,
    )
    if tf.executing_eagerly() or placement.within_xla() or placement.device_type() != "GPU":
        return run_loop(loop, job, bias=None)
    return tf.function(lambda: run_loop(loop, job, bias=None), jit_compile=True, autograph=False)()
