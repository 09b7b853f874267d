"""Newton's method for all steps of a nonlinear recurrence at once, h[t] = f(h[t-1], x[t]), with a check and a fallback.

    h = f(0, x);   repeat:  r[t] = f(h[t-1], x[t]) - h[t]          residual of each step
                            d[t] = J[t] d[t-1] + r[t]              an affine scan, J[t] = df / dh[t-1]
                            h = h + d

Each iteration is parallel over time. It converges in few iterations if the largest Lyapunov exponent, the mean of
log |J[t]| over time, is negative: the recurrence then has a finite memory. Otherwise errors grow exponentially with
time, and no number of iterations below T is enough (Gonzalez et al. 2025). So iterations stop

- at once if the exponent at the first iterate is not negative,
- when the largest update is below the tolerance: the states are then those of the loop over time, to rounding errors,
- after `MAX_ITERATIONS`,

and unless the updates are below the tolerance, the recurrence is run by a loop over time instead. The result is the
same in each case, and so is its gradient: one affine scan in the other direction, with the Jacobians at the solution.

References:
    Lim et al. 2024, arXiv:2309.12252 (DEER). Gonzalez et al. 2025, Predictability enables parallelization,
    arXiv:2508.16817. Danieli et al. 2025, ParaRNN, arXiv:2510.21450: recurrences with diagonal weights, for which J is
    diagonal and the method is exact.
"""

import abc
from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.affine_scan import affine_scan
from tfpar.ops.inference_loop import inference_loop
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors

MAX_ITERATIONS = 16
TOLERANCE = 2e-6  # of the largest update in float32, where |h| is about 1


class DiagonalRecurrence(Recurrence):
    """A recurrence whose units depend on no other unit's state, so that its Jacobian is diagonal. States: (h,)."""

    num_states = 1

    @abc.abstractmethod
    def step_and_jacobian(
        self, x_proj: tf.Tensor, h: tf.Tensor, weights: RecurrentWeights
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute h[t] and its derivatives by h[t-1], float (..., units) each.

        Args:
            x_proj: float (..., gates * units), x[t] W + b of one step or of all steps.
            h: float (..., units), h[t-1].
            weights: what `RecurrentLayer.recurrent_weights` returns.
        """

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        return (self.step_and_jacobian(x_proj, states[0], weights)[0],), ()


class Solution(NamedTuple):
    """States of all steps, and how they were found.

    Attributes:
        sequence: float (time, batch, units), h of each step.
        iterations: int32 scalar, Newton iterations; 0 if none was made, since the exponent is not negative.
        exponent: float32 scalar, the estimate of the largest Lyapunov exponent, per step.
        is_converged: bool scalar; if it is False, `sequence` comes from a loop over time.
    """

    sequence: tf.Tensor
    iterations: tf.Tensor
    exponent: tf.Tensor
    is_converged: tf.Tensor


def newton_scan(
    recurrence: DiagonalRecurrence,
    x_proj: tf.Tensor,
    initial: tf.Tensor,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    *,
    evaluation: str = "newton",
    implementation: str = "associative",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run a recurrence through time, differentiable in `x_proj`, `initial` and `weights`.

    Args:
        recurrence: one step, with its Jacobian.
        x_proj: float (time, batch, gates * units), x[t] W + b for all t.
        initial: float (batch, units), h before the first step.
        weights: the recurrent weights.
        mask: bool (time, batch), or None. Where it is False h does not change.
        evaluation: "newton"; or "sequential": a loop over time, with the same gradient.
        implementation: of the affine scans, see `affine_scan`.

    Returns:
        float (time, batch, units), h of each step; and float (batch, units), h after the last.
    """
    if x_proj.shape[0] == 0:
        return tf.zeros_like(x_proj[..., : initial.shape[-1]]), initial
    present = [tensor for tensor in weights if tensor is not None]

    @tf.custom_gradient
    def differentiable(x_proj, initial, *present):
        weights = RecurrentWeights(*present)
        if evaluation == "sequential":
            sequence = _run_loop(recurrence, x_proj, initial, weights, mask)
        else:
            sequence = solve(recurrence, x_proj, initial, weights, mask, implementation).sequence

        def gradient(d_sequence, d_final):
            before = _shift(sequence, initial)
            with tf.GradientTape() as tape:
                tape.watch([x_proj, *present])
                h, jacobian = _masked_step(recurrence, x_proj, before, weights, mask)
            # u[t] = J[t] (dh[t] + u[t+1]) is dL/dh[t-1] by way of step t.
            options = {"go_backwards": True, "implementation": implementation}
            u, d_initial = affine_scan(jacobian, jacobian * d_sequence, d_final, **options)
            d_h = d_sequence + tf.concat([u[1:], d_final[None]], axis=0)
            d_x_proj, *d_weights = tape.gradient(h, [x_proj, *present], output_gradients=d_h)
            return d_x_proj, d_initial, *d_weights

        return (sequence, sequence[-1]), gradient

    return differentiable(x_proj, initial, *present)


def solve(
    recurrence: DiagonalRecurrence,
    x_proj: tf.Tensor,
    initial: tf.Tensor,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    implementation: str = "associative",
) -> Solution:
    """Find the states of all steps; arguments are those of `newton_scan`. Without a gradient."""
    guess, jacobian = _masked_step(recurrence, x_proj, tf.zeros_like(x_proj[..., : initial.shape[-1]]), weights, mask)
    guess = tf.ensure_shape(guess, [*x_proj.shape[:2], initial.shape[-1]])
    exponent = lyapunov_exponent(jacobian, mask)
    tolerance = tf.constant(TOLERANCE, guess.dtype)
    infinity = tf.constant(float("inf"), guess.dtype)

    def is_unfinished(iteration, sequence, update):
        return (iteration < MAX_ITERATIONS) & (update > tolerance) & (exponent < 0)

    def iterate(iteration, sequence, _):
        h, jacobian = _masked_step(recurrence, x_proj, _shift(sequence, initial), weights, mask)
        zeros = tf.zeros_like(initial)
        updates, _ = affine_scan(jacobian, h - sequence, zeros, implementation=implementation)
        return iteration + 1, sequence + updates, tf.reduce_max(tf.abs(updates))

    iterations, sequence, update = tf.while_loop(
        is_unfinished, iterate, (0, guess, infinity), maximum_iterations=MAX_ITERATIONS
    )
    is_converged = update <= tolerance  # False for NaN
    sequence = tf.cond(is_converged, lambda: sequence, lambda: _run_loop(recurrence, x_proj, initial, weights, mask))
    return Solution(sequence, iterations, exponent, is_converged)


def lyapunov_exponent(jacobian: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Estimate the largest Lyapunov exponent: the largest mean of log |J[t]| over valid steps, of any row and unit.

    Args:
        jacobian: float (time, batch, units), the diagonals.
        mask: bool (time, batch), or None.

    Returns:
        float32 scalar, per step; negative: the memory is finite.
    """
    logs = tf.math.log(tf.maximum(tf.abs(tf.cast(jacobian, tf.float32)), 1e-30))
    if mask is None:
        return tf.reduce_max(tf.reduce_mean(logs, axis=0))
    counts = tf.reduce_sum(tf.cast(mask, tf.float32), axis=0)[:, None]
    sums = tf.reduce_sum(tf.where(mask[:, :, None], logs, 0.0), axis=0)
    return tf.reduce_max(tf.where(counts > 0, sums / tf.maximum(counts, 1.0), -1.0))


def _masked_step(recurrence, x_proj, h, weights, mask):
    new, jacobian = recurrence.step_and_jacobian(x_proj, h, weights)
    if mask is None:
        return new, jacobian
    valid = mask[:, :, None]
    return tf.where(valid, new, h), tf.where(valid, jacobian, tf.ones_like(jacobian))


def _shift(sequence, initial):
    """Return h[t-1] of each step."""
    return tf.concat([initial[None], sequence[:-1]], axis=0)


def _run_loop(recurrence, x_proj, initial, weights, mask):
    sequence, _ = inference_loop(recurrence, x_proj, (initial,), weights, mask)
    assert sequence is not None
    return tf.ensure_shape(sequence, [*x_proj.shape[:2], initial.shape[-1]])
