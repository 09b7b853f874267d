"""Losses of forecasters and autoencoders, on standardized errors and without missing values."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfpar.models.distributions import DISTRIBUTIONS


class _MaskedLoss(keras.losses.Loss):
    """Base class of losses whose targets may be missing.

    Args:
        deviation: of each target, by which errors are divided.
        name: of the loss.
        reduction: see `keras.losses.Loss`.
    """

    def __init__(self, deviation: Sequence[float], name: str, reduction: str = "mean_with_sample_weight"):
        super().__init__(name=name, reduction=reduction)
        self.deviation = tuple(map(float, deviation))

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the mean over the observed values of each row: float (batch,)."""
        observed = ops.logical_not(ops.isnan(y_true))
        losses = self.losses_of(ops.where(observed, y_true, ops.zeros_like(y_true)), y_pred)
        weights = ops.cast(observed, losses.dtype)
        axes = tuple(range(1, len(losses.shape)))
        return ops.sum(losses * weights, axis=axes) / ops.maximum(ops.sum(weights, axis=axes), 1.0)

    def losses_of(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return a loss for each value, float (batch, steps, targets)."""
        raise NotImplementedError

    def scale(self, values: tf.Tensor) -> tf.Tensor:
        """Return values (batch, steps, targets) over their deviations."""
        return values / ops.cast(np.array(self.deviation), values.dtype)


class SquaredError(_MaskedLoss):
    """Squared error of standardized values; predictions are float (batch, steps, targets)."""

    def __init__(self, deviation: Sequence[float]):
        super().__init__(deviation, "squared_error")

    def losses_of(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return ops.square(self.scale(y_true - y_pred))


class AbsoluteError(_MaskedLoss):
    """Absolute error of standardized values; predictions are float (batch, steps, targets)."""

    def __init__(self, deviation: Sequence[float]):
        super().__init__(deviation, "absolute_error")

    def losses_of(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return ops.abs(self.scale(y_true - y_pred))


class PinballLoss(_MaskedLoss):
    """Pinball loss of quantiles, summed over the levels; predictions are float (batch, steps, targets, levels).

    Args:
        deviation: see `_MaskedLoss`.
        levels: of the quantiles.

    References:
        Koenker & Bassett 1978, Regression quantiles.
    """

    def __init__(self, deviation: Sequence[float], levels: Sequence[float]):
        super().__init__(deviation, "pinball")
        self.levels = tuple(levels)

    def losses_of(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        total = 0.0
        for index, level in enumerate(self.levels):
            errors = self.scale(y_true - y_pred[..., index])
            total = total + ops.maximum(level * errors, (level - 1) * errors)
        return total


class LikelihoodLoss(_MaskedLoss):
    """Negative log-likelihood of standardized values, or of counts; predictions are parameters of distributions.

    Args:
        distribution: a key of `tfpar.models.distributions.DISTRIBUTIONS`.
        mean, deviation: of each target; 0 and 1 for counts.
    """

    def __init__(self, distribution: str, mean: Sequence[float], deviation: Sequence[float]):
        super().__init__(deviation, "negative_log_likelihood")
        self.mean = tuple(map(float, mean))
        self.distribution = DISTRIBUTIONS[distribution]()

    def losses_of(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        values = self.scale(y_true - ops.cast(np.array(self.mean), y_true.dtype))
        return self.distribution.negative_log_likelihood(values, ops.unstack(y_pred, axis=-1))
