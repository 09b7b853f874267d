"""The kernel `chunkwise`: an mLSTM, the steps of a chunk in parallel."""

from typing import cast

import tensorflow as tf

from tfpar.layers.call_context import call_context, is_exporting_file
from tfpar.layers.recurrent import placement
from tfpar.layers.recurrent.kernels.job import Job, Result
from tfpar.layers.recurrent.kernels.loops import initial_states, make_loop_result, run_reversed, zero_masked_inputs
from tfpar.ops.mlstm import MLSTM, chunkwise_mlstm
from tfpar.ops.recurrence import project


@run_reversed
def run_chunkwise(job: Job) -> Result:
    """Run the chunks in float32 or wider, with the scan over chunks that is fastest here."""
    job = zero_masked_inputs(job)
    is_exporting = call_context().export_target is not None
    recurrence = cast(MLSTM, job.recurrence.for_interpreter() if is_exporting else job.recurrence)
    x_proj, states = project(job.inputs, job.kernel, job.bias), initial_states(job)
    dtype = x_proj.dtype
    if dtype.size < 4:
        x_proj, states = tf.nest.map_structure(lambda tensor: tf.cast(tensor, tf.float32), (x_proj, states))
    on_cpu = placement.device_type() == "CPU" and not is_exporting_file()
    chunk, implementation = (32, "sequential") if on_cpu else (64, "associative")
    sequence, states = chunkwise_mlstm(
        recurrence, x_proj, states, job.mask, chunk, implementation, has_gradient=not is_exporting
    )
    sequence, states = tf.nest.map_structure(lambda tensor: tf.cast(tensor, dtype), (sequence, states))
    mask = None if job.mask is None else tf.transpose(job.mask)
    return make_loop_result(job, tf.transpose(sequence, [1, 0, 2]), states, mask)
