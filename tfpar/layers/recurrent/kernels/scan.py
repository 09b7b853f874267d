"""The kernels of linear recurrences: `sequential_scan`, `chunked_scan` and `associative_scan`."""

import functools
from typing import cast

import tensorflow as tf

from tfpar.layers.call_context import is_exporting_file
from tfpar.layers.recurrent.kernels.job import Job, Kernel, Result
from tfpar.layers.recurrent.kernels.loops import loop_arguments, make_loop_result, zero_masked_inputs
from tfpar.ops.affine_scan import IMPLEMENTATIONS, affine_scan
from tfpar.ops.linear_recurrence import LinearRecurrence


def _run_scan(job: Job, implementation: str) -> Result:
    """Compute the coefficients of all steps, then scan.

    Both are float32 or wider: in bfloat16 a factor of 0.999 would be 1.
    """
    job = zero_masked_inputs(job)
    recurrence = cast(LinearRecurrence, job.recurrence.for_interpreter() if is_exporting_file() else job.recurrence)
    x_proj, (initial,), weights, mask = loop_arguments(job, job.bias)
    dtype = x_proj.dtype
    if dtype.size < 4:
        x_proj, initial = tf.cast(x_proj, tf.float32), tf.cast(initial, tf.float32)
    a, b = recurrence.coefficients(x_proj, weights)
    options = {"mask": mask, "go_backwards": job.go_backwards, "implementation": implementation}
    sequence, final = affine_scan(a, b, initial, **options)
    return make_loop_result(job, tf.cast(sequence, dtype), (tf.cast(final, dtype),), mask)


SCANS: dict[str, Kernel] = {
    f"{implementation}_scan": functools.partial(_run_scan, implementation=implementation)
    for implementation in IMPLEMENTATIONS
}
