"""The quasi-Newton method finds the states of a loop over time, or that loop runs."""

import math

import numpy as np
import pytest
import tensorflow as tf
from compiled_depth import body_depths
from recurrences import RECURRENCES

from tfpar.ops import quasi_newton
from tfpar.ops.newton import Problem
from tfpar.ops.quasi_newton import DiagonalApproximation, growth_of, solve_dense
from tfpar.ops.recurrence import RecurrentWeights

BATCH, UNITS = 2, 8
CONTRACTIVE, CHAOTIC = 1.0, 12.0  # norm of the recurrent weights of each gate
CELLS = ["gru", "gru_reset_before", "lstm"]


def make_problem(cell, steps, scale=CONTRACTIVE, with_mask=False, dtype="float32"):
    recurrence = RECURRENCES[cell]
    generator = np.random.default_rng(steps)
    x_proj = generator.normal(size=(steps, BATCH, recurrence.num_gates * UNITS))
    initial = generator.normal(size=(BATCH, recurrence.num_states, UNITS))
    blocks = [np.linalg.qr(generator.normal(size=(UNITS, UNITS)))[0] for _ in range(recurrence.num_gates)]
    weights = RecurrentWeights(tf.constant(scale * np.concatenate(blocks, axis=1), dtype))
    mask = tf.constant(generator.random((steps, BATCH)) < 0.7) if with_mask else None
    return Problem(
        DiagonalApproximation(recurrence), *(tf.constant(a, dtype) for a in (x_proj, initial)), weights, mask
    )


@tf.function(jit_compile=True, autograph=False)
def solve_and_loop(x_proj, initial, kernel, mask, recurrence):
    problem = Problem(recurrence, x_proj, initial, RecurrentWeights(kernel), mask)
    return solve_dense(problem, "sequential"), problem.run_loop()


def run(problem):
    kernel = problem.weights.kernel
    return solve_and_loop(problem.x_proj, problem.initial, kernel, problem.mask, problem.recurrence)


def dense_jacobians(problem, states):
    """Return the Jacobian of each step by automatic differentiation: (time, batch, states * units, states * units)."""
    before = tf.unstack(problem.shift(states), axis=2)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(before)
        new, _ = problem.recurrence.linearize(problem.x_proj, tuple(before), problem.weights)
        totals = [tf.reduce_sum(state[..., unit]) for state in new for unit in range(UNITS)]
    return np.stack([np.concatenate(tape.gradient(total, before), axis=-1) for total in totals], axis=2)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_approximation_is_the_diagonal_of_the_jacobian(cell):
    problem = make_problem(cell, 3, dtype="float64")
    states = problem.run_loop()
    blocks = problem.step(problem.shift(states))[1]
    dense = dense_jacobians(problem, states).reshape([*blocks.shape[:3], UNITS, blocks.shape[2], UNITS])
    np.testing.assert_allclose(blocks, np.einsum("tbsucu->tbscu", dense), atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_growth_is_that_of_products_of_jacobians(cell):
    """The mean logarithm of the growth is the largest Lyapunov exponent of the tangent dynamics."""
    problem = make_problem(cell, 400, 3.0, dtype="float64")
    states = problem.run_loop()
    _, growth = growth_of(problem, states)
    jacobians = dense_jacobians(problem, states)[:, 0]
    vector, norms = np.random.default_rng(0).normal(size=jacobians.shape[1]), []
    for jacobian in jacobians:
        vector = jacobian @ vector
        norms.append(np.linalg.norm(vector))
        vector /= norms[-1]
    assert np.mean(np.log(growth[5:, 0])) == pytest.approx(np.mean(np.log(norms[5:])), abs=0.05)


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_it_converges_to_the_loop(cell, with_mask):
    solution, loop = run(make_problem(cell, 300, with_mask=with_mask))
    assert solution.is_converged and 2 <= solution.iterations <= 30 and solution.exponent < 0
    np.testing.assert_allclose(solution.states, loop, atol=1e-5)


def test_chaotic_recurrences_run_by_the_loop():
    solution, loop = run(make_problem("gru", 300, CHAOTIC))
    assert not solution.is_converged and solution.iterations == 0 and solution.exponent > 0
    np.testing.assert_array_equal(solution.states, loop)


def test_unless_it_converges_the_loop_runs(monkeypatch):
    monkeypatch.setattr(quasi_newton, "MAX_ITERATIONS", 2)
    problem = make_problem("lstm", 20)
    solution = solve_dense(problem)
    assert not solution.is_converged and solution.iterations == 2 and solution.exponent < 0
    np.testing.assert_array_equal(solution.states, problem.run_loop())


def test_not_a_number_runs_by_the_loop():
    problem = make_problem("gru", 20)
    problem = problem._replace(x_proj=tf.where(tf.range(20)[:, None, None] == 9, math.nan, problem.x_proj))
    solution = solve_dense(problem)
    assert not solution.is_converged
    assert np.isfinite(solution.states[:9]).all() and np.isnan(solution.states[9:]).all()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cell", CELLS)
def test_no_result_is_wrong_at_any_scale(cell):
    """Weights from contractive to chaotic: what is reported as converged is within 1e-5 of the loop."""
    converged = []
    for scale in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0):
        solution, loop = run(make_problem(cell, 4096, scale))
        np.testing.assert_allclose(solution.states, loop, atol=1e-5, err_msg=str(scale))
        converged.append(bool(solution.is_converged))
    assert converged[1] and not converged[-1]


@pytest.mark.slow
def test_the_compiled_depth_is_iterations_times_log_steps():
    """The program has two loops, over the iterations and that of the fallback; no body has a loop."""
    for steps in (16, 64, 512):
        compiled = tf.function(lambda problem: solve_dense(problem), jit_compile=True, autograph=False)
        text = compiled.experimental_get_compiler_ir(make_problem("lstm", steps))("optimized_hlo")
        iteration, fallback = body_depths(text)
        assert iteration.loops == fallback.loops == 0
        assert 2 * math.log2(steps) <= iteration.operations <= 12 * math.log2(steps) and fallback.operations <= 20
