"""Quasi-Newton's method for recurrences with dense recurrent weights: the GRU and the LSTM.

The Jacobian of such a step is a dense matrix for each step and row, too large for a scan. So the iteration

    d[t] = damping * A[t] d[t-1] + r[t],   h = h + d         r[t] = f(h[t-1], x[t]) - h[t], the residual

uses A[t], the derivatives of each unit by its own states only. Its solution is that of Newton's method, since r is zero
there, but it converges linearly.

Two tests need the dense Jacobian, by products of vectors with its transpose for all steps at once: `growth`, the
factor by which a step changes a perturbation, after a few steps that turn it to the direction that grows most. The
mean of its logarithm is the largest Lyapunov exponent. An affine scan of it estimates the distance of the states from
those of a loop over time, since the residual of a step is an error at all later ones:

    error[t] = growth[t] error[t-1] + |r[t]|

Unless the exponent is negative and the largest error is at most `MAX_ERROR`, the loop runs. So the result is the same
in each case. The gradient is that of the loop, at the states that were found.

References:
    Gonzalez et al. 2024, Towards scalable and stable parallelization of nonlinear RNNs, arXiv:2407.19115 (quasi-DEER).
    Gonzalez et al. 2025, Predictability enables parallelization, arXiv:2508.16817.
"""

from collections.abc import Callable

import tensorflow as tf

from tfpar.ops.affine_scan import BLOCKS
from tfpar.ops.newton import SCANS, DiagonalRecurrence, Jacobian, Problem, Solution, first_guess, largest_mean
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors

MAX_ITERATIONS = 50
MAX_ERROR = 5e-6  # of the states, Euclidean norm over the units
POWER_ITERATIONS = 12  # steps that turn a perturbation to the direction of the largest growth
DAMPING, DAMPED_EXPONENT = 0.8, -0.1  # undamped iterations take longer if the exponent is above


class DiagonalApproximation(DiagonalRecurrence):
    """A recurrence with dense recurrent weights, and the derivatives of each unit by its own states.

    They come from `Recurrence.step_gradient`, without the weights between different units.

    Args:
        recurrence: it has a gradient written by hand.
        damping: float scalar, a factor of the derivatives.
    """

    def __init__(self, recurrence: Recurrence, damping: tf.Tensor | float = 1.0):
        self.recurrence, self.damping = recurrence, damping
        self.name, self.num_gates, self.num_states = recurrence.name, recurrence.num_gates, recurrence.num_states

    def linearize(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights
    ) -> tuple[Tensors, Callable[[Tensors, tf.Tensor], Tensors]]:
        """Compute steps, and the product of vectors with the transposed Jacobian of each.

        Args:
            x_proj: float (..., gates * units).
            states: float (..., units) each, before the steps.
            weights: the recurrent weights.

        Returns:
            The states after the steps; and a function that maps a vector for each state, float (..., units), and the
            recurrent kernel to the products, of the same shapes.
        """

        def flatten(tensor):
            return tf.reshape(tensor, [-1, tensor.shape[-1]])

        def restore(tensors):
            return tuple(tf.reshape(tensor, tf.shape(state)) for tensor, state in zip(tensors, states, strict=True))

        before = tuple(map(flatten, states))
        new, residuals = self.recurrence.step(flatten(x_proj), before, weights, None)

        def pull_back(vectors, kernel):
            vectors, transposed = tuple(map(flatten, vectors)), tf.transpose(kernel)
            return restore(self.recurrence.step_gradient(vectors, new, before, residuals, transposed, None)[1])

        return restore(new), pull_back

    def step_and_jacobian(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights
    ) -> tuple[Tensors, Jacobian]:
        new, pull_back = self.linearize(x_proj, states, weights)
        kernel = tf.convert_to_tensor(weights.kernel)
        diagonal = kernel * tf.tile(tf.eye(kernel.shape[0], dtype=kernel.dtype), [1, self.num_gates])
        zeros, damped = tf.zeros_like(states[0]), self.damping * tf.ones_like(states[0])
        rows = range(self.num_states)
        return new, tuple(pull_back(tuple(damped if s == row else zeros for s in rows), diagonal) for row in rows)


def solve_dense(problem: Problem, implementation: str = "associative") -> Solution:
    """Find the states of all steps of a recurrence with dense weights, without a gradient.

    Args:
        problem: what to solve; its recurrence is a `DiagonalApproximation`.
        implementation: of the affine scans: "sequential" or "associative".
    """
    scan = SCANS[implementation]
    guess, _ = first_guess(problem)
    _, growth = growth_of(problem, guess)
    exponent = largest_mean(tf.math.log(growth), problem.mask)
    damping = tf.where(exponent > DAMPED_EXPONENT, tf.cast(DAMPING, guess.dtype), 1)
    damped = problem._replace(recurrence=DiagonalApproximation(problem.recurrence.recurrence, damping))

    def largest_error(residuals, growth):
        norms = tf.norm(residuals, axis=[-2, -1])
        return tf.reduce_max(scan(growth, norms, tf.zeros_like(problem.initial[:, 0, 0]), False)[0])

    def is_unfinished(iteration, states, error):
        return (iteration < MAX_ITERATIONS) & (error > MAX_ERROR) & (exponent < 0)

    def iterate(iteration, states, _):
        new, jacobian = damped.step(problem.shift(states))
        updates, _ = scan(jacobian, new - states, tf.zeros_like(problem.initial), False, BLOCKS)
        return iteration + 1, tf.ensure_shape(states + updates, guess.shape), largest_error(new - states, growth)

    infinity = tf.constant(float("inf"), guess.dtype)
    iterations, states, _ = tf.while_loop(
        is_unfinished, iterate, (0, guess, infinity), maximum_iterations=MAX_ITERATIONS
    )
    new, growth = growth_of(problem, states)
    exponent = largest_mean(tf.math.log(growth), problem.mask)
    is_converged = (exponent < 0) & (largest_error(new - states, growth) <= MAX_ERROR)  # False for NaN
    states = tf.cond(is_converged, lambda: states, problem.run_loop)
    return Solution(states, iterations, exponent, is_converged)


def growth_of(problem: Problem, states: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute each step again, and estimate by which factor it changes the norm of a perturbation.

    Args:
        problem: its recurrence is a `DiagonalApproximation`.
        states: float (time, batch, states, units), of each step.

    Returns:
        The states after each step, and float (time, batch), the factors; 1 at masked steps.
    """

    def select(valid, masked):
        return valid if problem.mask is None else tf.where(problem.mask[:, :, None, None], valid, masked)

    before = problem.shift(states)
    new, pull_back = problem.recurrence.linearize(problem.x_proj, tuple(tf.unstack(before, axis=-2)), problem.weights)
    vectors = tf.random.stateless_normal(states.shape[-2:], [1, 2], dtype=states.dtype) + tf.zeros_like(states)
    norms = tf.norm(vectors, axis=[-2, -1])
    for _ in range(POWER_ITERATIONS):
        vectors = vectors / norms[..., None, None]
        products = tf.stack(pull_back(tuple(tf.unstack(vectors, axis=-2)), problem.weights.kernel), axis=-2)
        products = select(products, vectors)
        norms = growth = tf.maximum(tf.norm(products, axis=[-2, -1]), 1e-30)
        # The product at step t is a vector at step t - 1.
        vectors, norms = (tf.concat([tensor[1:], tensor[-1:]], axis=0) for tensor in (products, norms))
    return select(tf.stack(new, axis=-2), before), growth
