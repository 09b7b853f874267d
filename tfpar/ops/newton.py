"""Newton's method for all steps of a nonlinear recurrence at once, h[t] = f(h[t-1], x[t]), with a check and a fallback.

    h = f(0, x);   repeat:  r[t] = f(h[t-1], x[t]) - h[t]          residual of each step
                            d[t] = J[t] d[t-1] + r[t]              an affine scan, J[t] = df / dh[t-1]
                            h = h + d

Each iteration is parallel over time. It converges in few iterations if the largest Lyapunov exponent, the mean of
log |J[t]| over time, is negative: the recurrence then has a finite memory. Otherwise errors grow exponentially with
time, and no number of iterations below T is enough (Gonzalez et al. 2025). So iterations stop

- at once if the exponent at the first iterate is not negative,
- when the largest update is below the tolerance: the states are then those of the loop over time, to rounding errors.
  The updates bound the residuals, since r[t] = d[t] - J[t] d[t-1],
- after `MAX_ITERATIONS`,

and unless the updates are below the tolerance, the recurrence is run by a loop over time instead. The result is the
same in each case, and so is its gradient: one affine scan in the other direction, with the Jacobians at the solution.

References:
    Lim et al. 2024, arXiv:2309.12252 (DEER). Gonzalez et al. 2025, Predictability enables parallelization,
    arXiv:2508.16817. Danieli et al. 2025, ParaRNN, arXiv:2510.21450: recurrences with diagonal weights, for which J has
    small blocks and the method is exact.
"""

import abc
from typing import Any, NamedTuple

import tensorflow as tf

from tfpar.ops.affine_scan import BLOCKS, associative_scan, expand, sequential_scan
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors

MAX_ITERATIONS = 16
TOLERANCE = 2e-6  # of the largest update in float32, where |h| is about 1

Jacobian = tuple[Tensors, ...]  # of each new state the derivatives by each state before


class DiagonalRecurrence(Recurrence):
    """A recurrence whose units depend on no other unit's states, so that its Jacobian is a block for each unit.

    Attributes:
        num_rows: the recurrent kernel is (num_rows, units).
    """

    num_rows: int

    @abc.abstractmethod
    def step_and_jacobian(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights
    ) -> tuple[Tensors, Jacobian]:
        """Compute the states of step t and their derivatives by those of step t-1, float (..., units) each.

        Args:
            x_proj: float (..., gates * units), x[t] W + b of one step or of all steps.
            states: one or two tensors, float (..., units), of step t-1.
            weights: what `RecurrentLayer.recurrent_weights` returns.
        """

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        return self.step_and_jacobian(x_proj, states, weights)[0], ()


class Solution(NamedTuple):
    """States of all steps, and how they were found.

    Attributes:
        states: float (time, batch, states, units), of each step.
        iterations: int32 scalar, Newton iterations; 0 if none was made, since the exponent is not negative.
        exponent: float32 scalar, the estimate of the largest Lyapunov exponent, per step.
        is_converged: bool scalar; if it is False, `states` come from a loop over time.
    """

    states: tf.Tensor
    iterations: tf.Tensor
    exponent: tf.Tensor
    is_converged: tf.Tensor


class Problem(NamedTuple):
    """A recurrence, and all that it reads.

    Attributes:
        recurrence: one step, with its Jacobian; a `DiagonalRecurrence`, or what has its methods.
        x_proj: float (time, batch, gates * units), x[t] W + b for all t.
        initial: float (batch, states, units), before the first step.
        weights: the recurrent weights.
        mask: bool (time, batch), or None. Where it is False the states do not change.
    """

    recurrence: Any
    x_proj: tf.Tensor
    initial: tf.Tensor
    weights: RecurrentWeights
    mask: tf.Tensor | None = None

    def step(self, before: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute all steps from the states before each.

        Args:
            before: float (time, batch, states, units).

        Returns:
            The states after each step, and the blocks of the Jacobian, float (time, batch, states, states, units).
        """
        states = tuple(tf.unstack(before, axis=-2))
        new_states, rows = self.recurrence.step_and_jacobian(self.x_proj, states, self.weights)
        new, jacobian = tf.stack(new_states, axis=-2), tf.stack([tf.stack(row, axis=-2) for row in rows], axis=-3)
        if self.mask is None:
            return new, jacobian
        identity = tf.eye(len(states), dtype=new.dtype)[:, :, None]
        valid = self.mask[:, :, None, None]
        return tf.where(valid, new, before), tf.where(valid[..., None], jacobian, identity)

    def shift(self, states: tf.Tensor) -> tf.Tensor:
        """Return the states before each step."""
        before = tf.concat([self.initial[None], states[:-1]], axis=0)
        return before if states.shape[0] else before[: tf.shape(states)[0]]  # there may be no step

    def run_loop(self) -> tf.Tensor:
        """Run the steps one after another."""
        steps = tf.shape(self.x_proj)[0]

        def body(t, states, stack):
            # XLA would give a slice `t : t + 1` the size of all steps.
            row = self._replace(x_proj=self.x_proj[t][None], mask=None if self.mask is None else self.mask[t][None])
            states = tf.ensure_shape(row.step(states[None])[0][0], states.shape)
            return t + 1, states, stack.write(t + 1, states)

        # A stack without any row would need a known shape.
        stack = tf.TensorArray(self.initial.dtype, steps + 1, element_shape=self.initial.shape).write(0, self.initial)
        _, _, stack = tf.while_loop(lambda t, *_: t < steps, body, (0, self.initial, stack), maximum_iterations=steps)
        return tf.ensure_shape(stack.stack()[1:], [self.x_proj.shape[0], *self.initial.shape])


def newton_scan(
    recurrence: DiagonalRecurrence,
    x_proj: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    *,
    evaluation: str = "newton",
    implementation: str = "associative",
) -> tuple[tf.Tensor, Tensors]:
    """Run a recurrence through time, differentiable in `x_proj`, `initial_states` and `weights`.

    Args:
        recurrence, x_proj, weights, mask: see `Problem`.
        initial_states: float (batch, units) each, before the first step.
        evaluation: "newton"; or "sequential": a loop over time, with the same gradient.
        implementation: of the affine scans: "sequential" or "associative".

    Returns:
        float (time, batch, units), h of each step; and the states after the last.
    """
    initial = tf.stack(initial_states, axis=-2)
    if x_proj.shape[0] == 0:
        return tf.zeros_like(x_proj[..., : initial.shape[-1]]), initial_states
    present = [tensor for tensor in weights if tensor is not None]

    @tf.custom_gradient
    def differentiable(x_proj, initial, *present):
        problem = Problem(recurrence, x_proj, initial, RecurrentWeights(*present), mask)
        states = problem.run_loop() if evaluation == "sequential" else solve(problem, implementation).states

        def gradient(d_sequence, d_final):
            with tf.GradientTape() as tape:
                tape.watch([x_proj, *present])
                new, jacobian = problem.step(problem.shift(states))
            only_h = tf.zeros_like(states[:, :, 1:])
            d_outputs = tf.concat([d_sequence[:, :, None], only_h], axis=2)
            # u[t] = J[t]^T (dh[t] + u[t+1]) is the gradient of the states before step t.
            transposed = tf.transpose(jacobian, [0, 1, 3, 2, 4])
            scan = SCANS[implementation]
            u, d_initial = scan(transposed, BLOCKS.apply(transposed, d_outputs), d_final, True, BLOCKS)
            d_new = d_outputs + tf.concat([u[1:], d_final[None]], axis=0)
            d_x_proj, *d_weights = tape.gradient(new, [x_proj, *present], output_gradients=d_new)
            return d_x_proj, d_initial, *d_weights

        return (states[:, :, 0], states[-1]), gradient

    sequence, final = differentiable(x_proj, initial, *present)
    return sequence, tuple(tf.unstack(final, axis=-2))


def solve(problem: Problem, implementation: str = "associative") -> Solution:
    """Find the states of all steps, without a gradient.

    Args:
        problem: what to solve.
        implementation: see `newton_scan`.
    """
    guess, jacobian = first_guess(problem)
    exponent = lyapunov_exponent(jacobian, problem.mask)

    def is_unfinished(iteration, states, update):
        return (iteration < MAX_ITERATIONS) & (update > TOLERANCE) & (exponent < 0)

    def iterate(iteration, states, _):
        new, jacobian = problem.step(problem.shift(states))
        no_update = tf.zeros_like(problem.initial)
        updates, _ = SCANS[implementation](jacobian, new - states, no_update, False, BLOCKS)
        return iteration + 1, tf.ensure_shape(states + updates, guess.shape), tf.reduce_max(tf.abs(updates))

    infinity = tf.constant(float("inf"), guess.dtype)
    iterations, states, update = tf.while_loop(
        is_unfinished, iterate, (0, guess, infinity), maximum_iterations=MAX_ITERATIONS
    )
    is_converged = update <= TOLERANCE  # False for NaN
    states = tf.cond(is_converged, lambda: states, problem.run_loop)
    return Solution(states, iterations, exponent, is_converged)


def first_guess(problem: Problem) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute each step from states of zeros; the results are those of `Problem.step`."""
    zeros = tf.zeros([*_sizes(problem.x_proj)[:1], *_sizes(problem.initial)], problem.initial.dtype)
    guess, jacobian = problem.step(zeros)
    return tf.ensure_shape(guess, [problem.x_proj.shape[0], *problem.initial.shape]), jacobian


def lyapunov_exponent(jacobian: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Estimate the largest Lyapunov exponent: the largest mean over valid steps of log |J[t]|, of any row and unit.

    |J[t]| is the spectral radius of a block.

    Args:
        jacobian: float (time, batch, n, n, units), n = 1 or 2.
        mask: bool (time, batch), or None.

    Returns:
        float32 scalar, per step; negative: the memory is finite.
    """
    radius = _spectral_radius(tf.cast(jacobian, tf.float32))
    return largest_mean(tf.math.log(tf.maximum(radius, 1e-30)), mask)


def largest_mean(logs: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Return the largest mean over valid steps of any row, float scalar; -1 if no step is valid.

    Args:
        logs: float (time, batch, ...).
        mask: bool (time, batch), or None.
    """
    if mask is None:
        return tf.reduce_max(tf.reduce_mean(logs, axis=0))
    mask = expand(mask, logs)
    counts = tf.reduce_sum(tf.cast(mask, logs.dtype), axis=0)
    sums = tf.reduce_sum(tf.where(mask, logs, tf.zeros_like(logs)), axis=0)
    return tf.reduce_max(tf.where(counts > 0, sums / tf.maximum(counts, 1), -1))


def _spectral_radius(blocks):
    """Return the largest absolute eigenvalue of each block, float (..., units) from (..., n, n, units)."""
    if blocks.shape[-2] == 1:
        return tf.abs(blocks[..., 0, 0, :])
    (a, b), (c, d) = (tf.unstack(row, axis=-2) for row in tf.unstack(blocks, axis=-3))
    half_trace, determinant = (a + d) / 2, a * d - b * c
    discriminant = half_trace**2 - determinant
    real = tf.abs(half_trace) + tf.sqrt(tf.maximum(discriminant, 0.0))
    return tf.where(discriminant >= 0, real, tf.sqrt(tf.maximum(determinant, 0.0)))


def _sizes(tensor):
    return [size or tf.shape(tensor)[axis] for axis, size in enumerate(tensor.shape)]


SCANS = {"sequential": sequential_scan, "associative": associative_scan}
