"""Newton's method finds the states of a loop over time, or that loop runs; its gradient is that of the loop."""

import math
import re

import numpy as np
import pytest
import tensorflow as tf
from running import WAYS, assert_all_close

from tfpar.ops.inference_loop import unrolled_loop
from tfpar.ops.newton import MAX_ITERATIONS, lyapunov_exponent, newton_scan, solve
from tfpar.ops.para_gru import ParaGRU
from tfpar.ops.recurrence import RecurrentWeights

BATCH, UNITS = 3, 4
CONTRACTIVE, CHAOTIC = 0.5, 40.0  # standard deviation of the recurrent weights


def draw(steps, deviation=CONTRACTIVE, dtype="float64"):
    """Return x W + b, the initial state, the recurrent kernel and a mask."""
    generator = np.random.default_rng(steps)
    x_proj, initial = generator.normal(size=(steps, BATCH, 3 * UNITS)), generator.normal(size=(BATCH, UNITS))
    kernel = generator.normal(0, deviation, (3, UNITS))
    tensors = [tf.constant(array, dtype) for array in (x_proj, initial, kernel)]
    return tensors, tf.constant(generator.random((steps, BATCH)) < 0.7)


def by_newton(x_proj, initial, kernel, mask, **options):
    return newton_scan(ParaGRU(), x_proj, initial, RecurrentWeights(kernel), mask, **options)


def by_loop(x_proj, initial, kernel, mask):
    sequence, (final,) = unrolled_loop(ParaGRU(), x_proj, (initial,), RecurrentWeights(kernel), mask)
    return sequence, final


def outputs_and_gradients(run, tensors, mask, way="eager", **options):
    def function(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            sequence, final = run(*tensors, mask, **options)
            loss = tf.reduce_sum(tf.sin(sequence)) + tf.reduce_sum(tf.cos(final))
        return [sequence, final], tape.gradient(loss, tensors)

    return WAYS[way](function)(*tensors)


@pytest.mark.parametrize("way", ["eager", "xla"])
@pytest.mark.parametrize("evaluation", ["newton", "sequential"])
def test_equals_the_loop(evaluation, way):
    tensors, mask = draw(12)
    for given in (None, mask):
        expected = outputs_and_gradients(by_loop, tensors, given)
        results = outputs_and_gradients(by_newton, tensors, given, way, evaluation=evaluation)
        for ours, theirs in zip(results, expected, strict=True):
            assert_all_close(ours, theirs, atol=1e-9)


def test_chaotic_recurrences_run_by_the_loop():
    tensors, mask = draw(12, CHAOTIC)
    solution = solve(ParaGRU(), *tensors[:2], RecurrentWeights(tensors[2]), mask)
    assert not solution.is_converged and solution.iterations == 0 and solution.exponent > 0
    assert_all_close([solution.sequence], [by_loop(*tensors, mask)[0]], atol=1e-12)
    for ours, theirs in zip(
        outputs_and_gradients(by_newton, tensors, mask), outputs_and_gradients(by_loop, tensors, mask), strict=True
    ):
        assert_all_close(ours, theirs, atol=1e-9)


def test_unless_it_converges_the_loop_runs(monkeypatch):
    monkeypatch.setattr("tfpar.ops.newton.MAX_ITERATIONS", 1)
    tensors, mask = draw(12)
    solution = solve(ParaGRU(), *tensors[:2], RecurrentWeights(tensors[2]), mask)
    assert not solution.is_converged and solution.iterations == 1 and solution.exponent < 0
    assert_all_close([solution.sequence], [by_loop(*tensors, mask)[0]], atol=1e-12)


def test_it_converges_in_few_iterations_at_length_4096():
    (x_proj, initial, kernel), _ = draw(4096, dtype="float32")
    run = tf.function(lambda *tensors: solve(ParaGRU(), *tensors, implementation="sequential"), jit_compile=True)
    solution = run(x_proj, initial, RecurrentWeights(kernel))
    assert solution.is_converged and 2 <= solution.iterations <= 8 and solution.exponent < 0
    loop = newton_scan(ParaGRU(), x_proj, initial, RecurrentWeights(kernel), evaluation="sequential")
    np.testing.assert_allclose(solution.sequence, loop[0], atol=1e-5)


@pytest.mark.parametrize("steps", [0, 1])
def test_no_steps_and_one(steps):
    tensors, _ = draw(steps)
    sequence, final = by_newton(*tensors, None)
    assert sequence.shape == (steps, BATCH, UNITS)
    assert_all_close([final], [by_loop(*tensors, None)[1]] if steps else [tensors[1]], atol=1e-12)


def test_rows_without_valid_steps_copy_their_states():
    tensors, _ = draw(6)
    mask = tf.constant(np.arange(6)[:, None] < [6, 3, 0])
    (_, final), (_, by_initial, _) = outputs_and_gradients(by_newton, tensors, mask)
    np.testing.assert_array_equal(final[2], tensors[1][2])
    assert np.abs(by_initial[2]).max() > 0


def test_the_exponent():
    jacobian = tf.constant([[[0.5, 0.1]], [[0.5, 0.1]], [[8.0, 8.0]]])
    mask = tf.constant([[True], [True], [False]])
    assert float(lyapunov_exponent(jacobian, mask)) == pytest.approx(math.log(0.5))
    assert float(lyapunov_exponent(jacobian)) == pytest.approx(math.log(0.5**2 * 8) / 3, abs=1e-6)
    assert float(lyapunov_exponent(jacobian, tf.zeros_like(mask))) == -1


def test_an_iteration_has_logarithmic_depth():
    """One compiled loop, of the iterations, whose body has no loop; the other is the fallback's."""
    lines = []
    for steps in (64, 1024):
        (x_proj, initial, kernel), _ = draw(steps, dtype="float32")

        def function(x_proj, initial, kernel):
            return solve(ParaGRU(), x_proj, initial, RecurrentWeights(kernel)).sequence

        compiled = tf.function(function, jit_compile=True, autograph=False)
        text = compiled.experimental_get_compiler_ir(x_proj, initial, kernel)("optimized_hlo")
        bodies = re.findall(r" while\(.*body=(%[\w.-]+)", text)
        assert len(bodies) == 2
        found = [re.search(rf"^{re.escape(body)} .*?^}}", text, re.M | re.S)[0].splitlines() for body in bodies]
        (newton,) = [body for body in found if any(f"[{steps}," in line and "fusion(" in line for line in body)]
        lines.append(len(newton))
    assert lines[1] - lines[0] < 40 * math.log2(1024 / 64) and MAX_ITERATIONS < 20
