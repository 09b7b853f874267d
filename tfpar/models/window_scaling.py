"""Scaling by the window: forecasts are made relative to its level, and by the deviation within it."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.checks import check_one_of
from tfpar.layers.argument_types import Shape

SCALINGS = ("global", "window", "series")
COUNTS = "counts"
LEVELS = ("last", "mean")
Values = tuple[float, ...]
_SMALLEST_SCALE = 1e-2  # of a window, in deviations of the training steps


@keras.saving.register_keras_serializable(package="tfpar")
class WindowScaling(keras.layers.Layer):
    """Values of a window relative to its level and its scale.

    In an int8 file it computes in float32: the level may be far larger than the differences that a network learns.

    Args:
        scaling: "global": the scale is 1; "window": it is the deviation within the window; "series": it is that of the
            statistics; "counts": it is the mean of the window plus 1, and the level is 0.
        level: "last": the last observed value; "mean": the mean of the observed values, or of the statistics.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        values: float (batch, steps, targets).
        observed: float of the same shape, 1 for an observed value and 0 for a missing one; None: all are observed.
        statistics: "series": float (batch, 1, 2 * targets), mean and deviation of each target in the whole series.

    Returns:
        The relative values, 0 where they are missing; level and scale, float (batch, 1, targets).
    """

    keep_float32 = True

    def __init__(self, scaling: str = "global", level: str = "last", **kwargs: Any):
        super().__init__(**kwargs)
        self.scaling = check_one_of("scaling", scaling, (*SCALINGS, COUNTS))
        self.level = check_one_of("level", level, LEVELS)
        self.built = True

    def call(
        self, values: tf.Tensor, observed: tf.Tensor | None = None, statistics: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, ...]:
        level = _last_value(values, observed) if self.level == "last" else _mean(values, observed)
        if statistics is not None:
            mean, scale = ops.split(statistics, 2, axis=-1)
            level = level if self.level == "last" else mean
        else:
            scale = find_scale(self.scaling, values, observed)
        if self.scaling == COUNTS:
            level = ops.zeros_like(level)
        relative = values - level if self.scaling == "global" else (values - level) / scale
        return relative if observed is None else relative * observed, level, scale

    def compute_output_shape(self, values_shape: Shape, *_: Any, **__: Any) -> tuple[Shape, ...]:
        one_step = (values_shape[0], 1, values_shape[2])
        return values_shape, one_step, one_step

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scaling": self.scaling, "level": self.level}


@keras.saving.register_keras_serializable(package="tfpar")
class WindowRescaling(keras.layers.Layer):
    """Inverse of `WindowScaling`: forecast * scale + level; in an int8 file it computes in float32.

    Call arguments:
        forecast: float (batch, horizon, targets), or (batch, horizon, targets, quantiles).
        level: float (batch, 1 or horizon, targets).
        scale: like `level`; None: 1.
    """

    keep_float32 = True

    def call(self, forecast: tf.Tensor, level: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        if len(forecast.shape) == 4:
            level, scale = level[..., None], None if scale is None else scale[..., None]
        return level + (forecast if scale is None else forecast * scale)

    def compute_output_shape(self, forecast_shape: Shape, *_: Any, **__: Any) -> Shape:
        return forecast_shape


def find_scale(scaling: str, values: tf.Tensor, observed: tf.Tensor | None) -> tf.Tensor:
    """Return the scale of each window and target, float (batch, 1, targets); see `WindowScaling`."""
    if scaling == "window":
        return _deviation(values, observed)
    if scaling == COUNTS:
        return _mean(values, observed) + 1
    return ops.ones_like(values[:, :1])


def statistics_scales(mean: Values, deviation: Values, targets: int) -> tuple[Values, Values]:
    """Return means and deviations that standardize the columns of statistics like those of the targets."""
    return (*mean[:targets], *(0.0,) * targets), (*deviation[:targets], *deviation[:targets])


def split_statistics(x: Any, columns: int, targets: int, has_indicators: bool) -> tuple[Any, Any]:
    """Split off the statistics: the last 2 * `targets` of the columns of x (batch, steps, ...), equal in all steps.

    Returns:
        The other `columns` and their indicators; and the statistics, (batch, 1, 2 * targets).
    """
    end = columns + 2 * targets
    others = [x[..., :columns], *([x[..., end : end + columns]] if has_indicators else [])]
    return ops.concatenate(others, axis=-1), x[:, :1, columns:end]


def _last_value(values, observed):
    """Return the last observed value of each target: (batch, 1, targets)."""
    if observed is None:
        return values[:, -1:]
    steps = values.shape[1]
    # The weight of step t exceeds that of all steps before, so that the largest one is the last observed step's.
    order = ops.cast(ops.reshape(ops.arange(1, steps + 1), (1, steps, 1)), values.dtype) * observed
    is_last = ops.cast(order >= ops.max(order, axis=1, keepdims=True), values.dtype) * observed
    return ops.sum(values * is_last, axis=1, keepdims=True)


def _mean(values, observed):
    """Return the mean of the observed values of each target: (batch, 1, targets)."""
    weights = ops.ones_like(values) if observed is None else observed
    count = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
    return ops.sum(values * weights, axis=1, keepdims=True) / count


def _deviation(values, observed):
    """Return the deviation of each target within the window: (batch, 1, targets)."""
    variance = _mean(ops.square(values - _mean(values, observed)), observed)
    return ops.sqrt(ops.maximum(variance, 0.0) + _SMALLEST_SCALE**2)  # below 0 by rounding errors
