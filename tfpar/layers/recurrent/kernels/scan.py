"""The kernels of linear recurrences: `sequential_scan`, `chunked_scan` and `associative_scan`."""

import dataclasses
import functools
from typing import cast

import tensorflow as tf

from tfpar.layers.call_context import is_exporting_file
from tfpar.layers.recurrent.kernels.job import Job, Kernel, Result
from tfpar.layers.recurrent.kernels.loops import loop_arguments, make_loop_result
from tfpar.ops.affine_scan import IMPLEMENTATIONS, affine_scan
from tfpar.ops.linear_recurrence import LinearRecurrence


def _run_scan(job: Job, implementation: str) -> Result:
    """Compute the coefficients of all steps, then scan."""
    if job.mask is not None:
        # The gradient of the input kernel multiplies inputs at masked steps by zero, and NaN times zero is NaN.
        inputs = tf.where(job.mask[:, :, None], job.inputs, tf.zeros_like(job.inputs))
        job = dataclasses.replace(job, inputs=inputs)
    recurrence = cast(LinearRecurrence, job.recurrence.for_interpreter() if is_exporting_file() else job.recurrence)
    x_proj, (initial,), weights, mask = loop_arguments(job, job.bias)
    a, b = recurrence.coefficients(x_proj, weights)
    options = {"mask": mask, "go_backwards": job.go_backwards, "implementation": implementation}
    sequence, final = affine_scan(a, b, initial, **options)
    return make_loop_result(job, sequence, (final,), mask)


SCANS: dict[str, Kernel] = {
    f"{implementation}_scan": functools.partial(_run_scan, implementation=implementation)
    for implementation in IMPLEMENTATIONS
}
