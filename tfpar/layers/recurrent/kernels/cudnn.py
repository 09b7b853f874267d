"""The kernel `cudnn`: cuDNN's operation for right-padded batches, the training loop for others."""

import tensorflow as tf

from tfpar.layers.recurrent.kernels.job import Job, Result
from tfpar.layers.recurrent.kernels.loops import initial_states, make_result
from tfpar.layers.recurrent.kernels.training_loop import run_training_loop
from tfpar.ops import cudnn


def run_cudnn(job: Job) -> Result:
    """Run cuDNN's operation if it supports the batch, else the training loop.

    If that depends on values of the batch, only the chosen branch of a conditional runs.
    """
    can_run = cudnn.can_run(job.inputs, job.mask)
    if isinstance(can_run, bool):
        return _run_operation(job) if can_run else run_training_loop(job)
    return tf.cond(can_run, lambda: _run_operation(job), lambda: run_training_loop(job))


def _run_operation(job: Job) -> Result:
    mask = None if job.mask is None else tf.transpose(job.mask)
    sequence, states = cudnn.cudnn_rnn(
        job.recurrence,
        tf.transpose(job.inputs, [1, 0, 2]),
        job.kernel,
        job.bias,
        initial_states(job),
        job.weights,
        mask,
        job.go_backwards,
    )
    return make_result(job, sequence, states, mask)
