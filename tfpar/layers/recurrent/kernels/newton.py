"""The kernels of recurrences with diagonal recurrent weights: `newton`, and `diagonal_loop` with the same gradient."""

import functools
from typing import cast

import tensorflow as tf

from tfpar.layers.recurrent import placement
from tfpar.layers.recurrent.kernels.job import Job, Kernel, Result
from tfpar.layers.recurrent.kernels.loops import loop_arguments, make_loop_result, run_reversed, zero_masked_inputs
from tfpar.ops.newton import DiagonalRecurrence, newton_scan


def _run(job: Job, evaluation: str) -> Result:
    """Run the job in float32 or wider, since rounding errors add up over the steps."""
    job = zero_masked_inputs(job)
    x_proj, initial, weights, mask = loop_arguments(job, job.bias)
    dtype = x_proj.dtype
    if dtype.size < 4:
        x_proj, initial = tf.nest.map_structure(lambda tensor: tf.cast(tensor, tf.float32), (x_proj, initial))
        weights = weights._replace(kernel=tf.cast(weights.kernel, tf.float32))
    runs_loops_fast = placement.device_type() == "CPU" and placement.within_xla()
    sequence, final = newton_scan(
        cast(DiagonalRecurrence, job.recurrence),
        x_proj,
        initial,
        weights,
        mask,
        evaluation=evaluation,
        implementation="sequential" if runs_loops_fast else "associative",
    )
    sequence, final = tf.nest.map_structure(lambda tensor: tf.cast(tensor, dtype), (sequence, final))
    return make_loop_result(job, sequence, final, mask)


run_newton: Kernel = run_reversed(functools.partial(_run, evaluation="newton"))
run_diagonal_loop: Kernel = run_reversed(functools.partial(_run, evaluation="sequential"))
