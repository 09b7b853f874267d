"""Recurrences that are affine in their state, h[t] = a[t] * h[t-1] + b[t], so that `affine_scan` evaluates them."""

import abc
from typing import Any

import tensorflow as tf

from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors


class LinearRecurrence(Recurrence):
    """A recurrence whose coefficients a[t] and b[t] depend on the input alone. States: (h,).

    Such a cell runs in parallel over time, but with a[t] >= 0 it cannot count modulo two: parity needs the products of
    a[t] to change their sign (Grazzi et al. 2024, arXiv:2411.12537).
    """

    num_states = 1

    @abc.abstractmethod
    def coefficients(self, x_proj: tf.Tensor, weights: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute a[t] and b[t], float (..., units), from x[t] W + b, float (..., gates * units).

        Args:
            x_proj: of one step or of all steps.
            weights: what `RecurrentLayer.recurrent_weights` returns.
        """

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        a, b = self.coefficients(x_proj, weights)
        return (a * states[0] + b,), ()
