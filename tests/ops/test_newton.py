"""Newton's method finds the states of a loop over time, or that loop runs; its gradient is that of the loop."""

import math
import re

import numpy as np
import pytest
import tensorflow as tf
from running import WAYS, assert_all_close

from tfpar.ops.inference_loop import unrolled_loop
from tfpar.ops.newton import MAX_ITERATIONS, Problem, lyapunov_exponent, newton_scan, solve
from tfpar.ops.para_gru import ParaGRU
from tfpar.ops.para_lstm import ParaLSTM
from tfpar.ops.recurrence import RecurrentWeights

BATCH, UNITS = 3, 4
CONTRACTIVE, CHAOTIC = 0.5, 40.0  # standard deviation of the recurrent weights


RECURRENCES = {"gru": ParaGRU(), "lstm": ParaLSTM()}


def draw(steps, recurrence=RECURRENCES["gru"], deviation=CONTRACTIVE, dtype="float64"):
    """Return x W + b, the initial states, the recurrent kernel and a mask."""
    generator = np.random.default_rng(steps)
    shapes = [(steps, BATCH, 3 * UNITS), *[(BATCH, UNITS)] * recurrence.num_states]
    arrays = [generator.normal(size=shape) for shape in shapes]
    arrays.append(generator.normal(0, deviation, (recurrence.num_rows, UNITS)))
    return [tf.constant(array, dtype) for array in arrays], tf.constant(generator.random((steps, BATCH)) < 0.7)


def by_newton(recurrence, x_proj, *tensors, mask, **options):
    *states, kernel = tensors
    sequence, final = newton_scan(recurrence, x_proj, tuple(states), RecurrentWeights(kernel), mask, **options)
    return [sequence, *final]


def by_loop(recurrence, x_proj, *tensors, mask):
    *states, kernel = tensors
    sequence, final = unrolled_loop(recurrence, x_proj, tuple(states), RecurrentWeights(kernel), mask)
    return [sequence, *final]


def problem_of(tensors, mask=None, recurrence=RECURRENCES["gru"]):
    x_proj, *states, kernel = tensors
    return Problem(recurrence, x_proj, tf.stack(states, axis=-2), RecurrentWeights(kernel), mask)


def outputs_and_gradients(run, recurrence, tensors, mask, way="eager", **options):
    def function(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = run(recurrence, *tensors, mask=mask, **options)
            loss = sum(tf.reduce_sum(tf.sin(output + number)) for number, output in enumerate(outputs))
        return outputs, tape.gradient(loss, tensors)

    return WAYS[way](function)(*tensors)


@pytest.mark.parametrize("way", ["eager", pytest.param("xla", marks=pytest.mark.slow)])
@pytest.mark.parametrize("evaluation", ["newton", "sequential"])
@pytest.mark.parametrize("recurrence", RECURRENCES.values(), ids=RECURRENCES)
def test_equals_the_loop(recurrence, evaluation, way):
    tensors, mask = draw(7, recurrence)
    for given in (None, mask) if way == "eager" else (mask,):
        expected = outputs_and_gradients(by_loop, recurrence, tensors, given)
        results = outputs_and_gradients(by_newton, recurrence, tensors, given, way, evaluation=evaluation)
        for ours, theirs in zip(results, expected, strict=True):
            assert_all_close(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("recurrence", RECURRENCES.values(), ids=RECURRENCES)
def test_the_jacobian_is_that_of_automatic_differentiation(recurrence):
    (x_proj, *states, kernel), _ = draw(1, recurrence)
    for row in range(recurrence.num_states):
        with tf.GradientTape() as tape:
            tape.watch(states)
            new, jacobian = recurrence.step_and_jacobian(x_proj[0], tuple(states), RecurrentWeights(kernel))
            total = tf.reduce_sum(new[row])
        assert_all_close(jacobian[row], tape.gradient(total, states), atol=1e-12)


def test_chaotic_recurrences_run_by_the_loop():
    recurrence = RECURRENCES["gru"]
    tensors, mask = draw(7, deviation=CHAOTIC)
    solution = solve(problem_of(tensors, mask))
    assert not solution.is_converged and solution.iterations == 0 and solution.exponent > 0
    expected = outputs_and_gradients(by_loop, recurrence, tensors, mask)
    for ours, theirs in zip(outputs_and_gradients(by_newton, recurrence, tensors, mask), expected, strict=True):
        assert_all_close(ours, theirs, atol=1e-9)


def test_unless_it_converges_the_loop_runs(monkeypatch):
    monkeypatch.setattr("tfpar.ops.newton.MAX_ITERATIONS", 1)
    tensors, mask = draw(7)
    solution = solve(problem_of(tensors, mask))
    assert not solution.is_converged and solution.iterations == 1 and solution.exponent < 0
    assert_all_close([solution.states[:, :, 0]], by_loop(RECURRENCES["gru"], *tensors, mask=mask)[:1], atol=1e-12)


@pytest.mark.parametrize("steps", [256, pytest.param(4096, marks=pytest.mark.slow)])
def test_it_converges_in_few_iterations(steps):
    tensors, _ = draw(steps, dtype="float32")

    @tf.function(jit_compile=True, autograph=False)
    def run(*tensors):
        problem = problem_of(tensors)
        return solve(problem, "sequential"), problem.run_loop()

    solution, loop = run(*tensors)
    assert solution.is_converged and 2 <= solution.iterations <= 8 and solution.exponent < 0
    np.testing.assert_allclose(solution.states, loop, atol=1e-5)


@pytest.mark.parametrize("steps", [0, 1])
def test_no_steps_and_one(steps):
    tensors, _ = draw(steps)
    sequence, final = by_newton(RECURRENCES["gru"], *tensors, mask=None)
    assert sequence.shape == (steps, BATCH, UNITS)
    expected = by_loop(RECURRENCES["gru"], *tensors, mask=None)[1] if steps else tensors[1]
    assert_all_close([final], [expected], atol=1e-12)


def test_rows_without_valid_steps_copy_their_states():
    tensors, _ = draw(6)
    mask = tf.constant(np.arange(6)[:, None] < [6, 3, 0])
    (_, final), (_, by_initial, _) = outputs_and_gradients(by_newton, RECURRENCES["gru"], tensors, mask)
    np.testing.assert_array_equal(final[2], tensors[1][2])
    assert np.abs(by_initial[2]).max() > 0


def test_the_exponent():
    jacobian = tf.constant([[[0.5, 0.1]], [[0.5, 0.1]], [[8.0, 8.0]]])[:, :, None, None, :]
    mask = tf.constant([[True], [True], [False]])
    assert float(lyapunov_exponent(jacobian, mask)) == pytest.approx(math.log(0.5))
    assert float(lyapunov_exponent(jacobian)) == pytest.approx(math.log(0.5**2 * 8) / 3, abs=1e-6)
    assert float(lyapunov_exponent(jacobian, tf.zeros_like(mask))) == -1
    blocks = np.random.default_rng(0).normal(size=(1, 1, 2, 2, 9))
    radii = [np.abs(np.linalg.eigvals(blocks[0, 0, :, :, unit])).max() for unit in range(9)]
    assert float(lyapunov_exponent(tf.constant(blocks))) == pytest.approx(math.log(max(radii)), abs=1e-5)


def test_the_loop_reads_one_step_per_iteration():
    """XLA gives a slice at a variable index the size of all steps, so that the time is quadratic in steps."""
    tensors, mask = draw(32, dtype="float32")
    compiled = tf.function(lambda *tensors: problem_of(tensors, mask).run_loop(), jit_compile=True, autograph=False)
    assert "<=" not in compiled.experimental_get_compiler_ir(*tensors)("hlo")  # no size that varies


@pytest.mark.slow
def test_an_iteration_has_logarithmic_depth():
    """Of the compiled loops one is that of the iterations, whose body has no loop, and one that of the fallback."""
    operations = []
    for steps in (64, 1024):
        tensors, _ = draw(steps, dtype="float32")
        compiled = tf.function(lambda *tensors: solve(problem_of(tensors)).states, jit_compile=True, autograph=False)
        text = compiled.experimental_get_compiler_ir(*tensors)("optimized_hlo")
        bodies = re.findall(r" while\(.*body=(%[\w.-]+)", text)
        assert len(bodies) == 2
        found = [re.search(rf"^{re.escape(body)} .*?^}}", text, re.M | re.S)[0].splitlines() for body in bodies]
        operations.append(max(map(len, found)))
    assert operations[1] - operations[0] < 40 * math.log2(1024 / 64) and MAX_ITERATIONS < 20
