"""The kernels by Newton's method.

`newton` and, with the same gradient, `diagonal_loop` are for recurrences with diagonal recurrent weights,
`quasi_newton` for those with dense ones. All run in float32 or wider, since rounding errors add up over the steps.
"""

import functools
from collections.abc import Callable
from typing import cast

import tensorflow as tf

from tfpar.layers.recurrent import placement
from tfpar.layers.recurrent.kernels.job import Job, Kernel, Result
from tfpar.layers.recurrent.kernels.loops import (
    loop_arguments,
    make_forward,
    make_loop_result,
    run_reversed,
    zero_masked_inputs,
)
from tfpar.ops.newton import DiagonalRecurrence, Problem, Solution, newton_scan, solve
from tfpar.ops.quasi_newton import DiagonalApproximation, solve_dense
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors
from tfpar.ops.time_loop import time_loop


def _run(run: Callable[..., tuple[tf.Tensor | None, Tensors]], job: Job) -> Result:
    """Run a job by a function of a recurrence and `loop_arguments`."""
    job = zero_masked_inputs(job)
    *arguments, mask = loop_arguments(job, job.bias)
    dtype = job.inputs.dtype
    if dtype.size < 4:
        arguments = tf.nest.map_structure(lambda t: None if t is None else tf.cast(t, tf.float32), arguments)
    sequence, final = run(job.recurrence, *arguments, mask)
    sequence, final = tf.nest.map_structure(lambda tensor: tf.cast(tensor, dtype), (sequence, final))
    return make_loop_result(job, sequence, final, mask)


def _run_diagonal(recurrence, *arguments, evaluation):
    return newton_scan(
        cast(DiagonalRecurrence, recurrence), *arguments, evaluation=evaluation, implementation=_implementation()
    )


def _run_dense(recurrence, *arguments):
    def find_states(*arguments):
        return _solve(recurrence, *arguments).states

    return time_loop(recurrence, *arguments, find_states=find_states)


def describe_solution(job: Job) -> str:
    """Run Newton's method on a job of the kernels `newton` and `quasi_newton`, and describe in words how it ended."""
    job = make_forward(zero_masked_inputs(job))
    x_proj, initial, weights, mask = loop_arguments(job, job.bias)
    if isinstance(job.recurrence, DiagonalRecurrence):
        solution = solve(Problem(job.recurrence, x_proj, tf.stack(initial, axis=-2), weights, mask), _implementation())
    else:
        solution = _solve(job.recurrence, x_proj, initial, weights, mask)
    exponent = f"the largest Lyapunov exponent is about {float(solution.exponent):.2g} per step"
    if solution.is_converged:
        return f"here it converges in {int(solution.iterations)} iterations; {exponent}"
    if not solution.exponent < 0:
        return f"here a loop runs, since {exponent}, which is not negative"
    return f"here a loop runs, since {int(solution.iterations)} iterations are not enough; {exponent}"


def _solve(
    recurrence: Recurrence, x_proj: tf.Tensor, initial: Tensors, weights: RecurrentWeights, mask: tf.Tensor | None
) -> Solution:
    problem = Problem(DiagonalApproximation(recurrence), x_proj, tf.stack(initial, axis=-2), weights, mask)
    return solve_dense(problem, _implementation())


def _implementation() -> str:
    """Return that of affine scans: a loop if XLA for CPUs compiles it."""
    return "sequential" if placement.device_type() == "CPU" and placement.within_xla() else "associative"


run_newton: Kernel = run_reversed(functools.partial(_run, functools.partial(_run_diagonal, evaluation="newton")))
run_diagonal_loop: Kernel = run_reversed(
    functools.partial(_run, functools.partial(_run_diagonal, evaluation="sequential"))
)
run_quasi_newton: Kernel = run_reversed(functools.partial(_run, _run_dense))
