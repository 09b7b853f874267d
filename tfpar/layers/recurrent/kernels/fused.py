"""The kernel `fused`: TFLite's operation for a whole LSTM."""

from typing import cast

import tensorflow as tf

from tfpar.layers.call_context import call_context
from tfpar.layers.recurrent.kernels.job import Job, Result
from tfpar.layers.recurrent.kernels.loops import run_reversed
from tfpar.ops.fused_lstm import fused_lstm
from tfpar.ops.lstm import LSTM
from tfpar.ops.masking import pack_right_padded, pack_valid_steps, take_steps


def run_fused(job: Job) -> Result:
    """Run the fused operation, which has no mask input and only the forward direction.

    A masked step does not change the state, so the valid steps of each row are packed to the front in the order of
    processing, and the outputs are unpacked. Each output of the operation has one use; the converter would not quantize
    it otherwise.
    """
    if job.mask is not None:
        return _run_packed(job, job.mask)
    return run_reversed(_run_unmasked)(job)


def _run_unmasked(job: Job) -> Result:
    sequence = _run_operation(job, job.inputs)
    return Result(sequence, sequence[:, -1], ())


def _run_packed(job: Job, mask: tf.Tensor) -> Result:
    pack = pack_right_padded if call_context().export_padding == "right" else pack_valid_steps
    packing = pack(mask, job.go_backwards)
    packed = _run_operation(job, job.inputs if packing.order is None else take_steps(job.inputs, packing.order))
    is_visible = mask if job.zero_output_for_mask else packing.is_visible
    last_is_visible = is_visible[:, :1] if job.go_backwards else is_visible[:, -1:]
    last = tf.where(last_is_visible, take_steps(packed, packing.total - 1)[:, 0], 0.0)
    sequence = tf.where(is_visible[:, :, None], take_steps(packed, packing.position), 0.0)
    return Result(sequence, last, ())


def _run_operation(job: Job, inputs: tf.Tensor) -> tf.Tensor:
    bias = tf.zeros(job.kernel.shape[-1:], job.kernel.dtype) if job.bias is None else job.bias
    return fused_lstm(cast(LSTM, job.recurrence), inputs, job.kernel, job.weights, bias)
