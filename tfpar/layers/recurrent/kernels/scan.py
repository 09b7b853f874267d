"""The kernels of linear recurrences: `sequential_scan`, `chunked_scan` and `associative_scan`."""

import functools
from typing import cast

import tensorflow as tf

from tfpar.layers.call_context import call_context
from tfpar.layers.recurrent.kernels.job import Job, Kernel, Result
from tfpar.layers.recurrent.kernels.loops import initial_states, make_loop_result, zero_masked_inputs
from tfpar.ops.affine_scan import IMPLEMENTATIONS, affine_scan
from tfpar.ops.linear_recurrence import LinearRecurrence
from tfpar.ops.recurrence import project


def _run_scan(job: Job, implementation: str) -> Result:
    """Compute the coefficients of all steps, then scan.

    Both are float32 or wider: in bfloat16 a factor of 0.999 would be 1.
    """
    job = zero_masked_inputs(job)
    is_exporting = call_context().export_target is not None
    recurrence = cast(LinearRecurrence, job.recurrence.for_interpreter() if is_exporting else job.recurrence)
    mask, (initial,) = None if job.mask is None else tf.transpose(job.mask), initial_states(job)
    # XLA fuses this transpose with the coefficients, but not one of the inputs with the projection.
    x_proj = tf.transpose(project(job.inputs, job.kernel, job.bias), [1, 0, 2])
    dtype = x_proj.dtype
    if dtype.size < 4:
        x_proj, initial = tf.cast(x_proj, tf.float32), tf.cast(initial, tf.float32)
    a, b = recurrence.coefficients(x_proj, job.weights)
    sequence, final = affine_scan(
        a,
        b,
        initial,
        mask=mask,
        go_backwards=job.go_backwards,
        implementation=implementation,
        has_gradient=not is_exporting,
        returns_sequence=job.returns_sequence,
    )
    sequence = None if sequence is None else tf.cast(sequence, dtype)
    return make_loop_result(job, sequence, (tf.cast(final, dtype),), mask)


SCANS: dict[str, Kernel] = {
    f"{implementation}_scan": functools.partial(_run_scan, implementation=implementation)
    for implementation in IMPLEMENTATIONS
}
