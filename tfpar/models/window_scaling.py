"""Scaling by the window: forecasts are made relative to the last value, and by the deviation within the window."""

from typing import Any, Self

from keras import ops

SCALINGS = ("global", "window")
_SMALLEST_SCALE = 1e-2  # of a window, in deviations of the training steps


class WindowScaling:
    """The level and the scale of the targets in a window.

    Attributes:
        level: last observed value of each target, (batch, 1, targets).
        scale: deviation of each target within the window, (batch, 1, targets), or None for "global".
    """

    def __init__(self, level: Any, scale: Any):
        self.level, self.scale = level, scale

    @classmethod
    def of(cls, values: Any, observed: Any, scaling: str) -> Self:
        """Measure a window.

        Args:
            values: float (batch, steps, targets).
            observed: 1 for an observed value and 0 for a missing one, of the shape of `values`; None: all are observed.
            scaling: one of `SCALINGS`.
        """
        return cls(_last_value(values, observed), _deviation(values, observed) if scaling == "window" else None)

    def apply(self, values: Any) -> Any:
        """Return the values of the window relative to its level and scale."""
        centered = values - self.level
        return centered if self.scale is None else centered / self.scale

    def undo(self, forecast: Any, has_quantiles: bool) -> Any:
        """Return a forecast (batch, horizon, targets), or with an axis of quantiles, in the units of the window."""
        shape = (-1, 1, self.level.shape[-1], 1) if has_quantiles else (-1, 1, self.level.shape[-1])
        if self.scale is not None:
            forecast = forecast * ops.reshape(self.scale, shape)
        return forecast + ops.reshape(self.level, shape)


def _last_value(values, observed):
    """Return the last observed value of each target: (batch, 1, targets)."""
    if observed is None:
        return values[:, -1:]
    steps = values.shape[1]
    # The weight of step t exceeds that of all steps before, so that the largest one is the last observed step's.
    order = ops.cast(ops.reshape(ops.arange(1, steps + 1), (1, steps, 1)), values.dtype) * observed
    is_last = ops.cast(order >= ops.max(order, axis=1, keepdims=True), values.dtype) * observed
    return ops.sum(values * is_last, axis=1, keepdims=True)


def _deviation(values, observed):
    """Return the deviation of each target within the window: (batch, 1, targets)."""
    weights = ops.ones_like(values) if observed is None else observed
    count = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
    mean = ops.sum(values * weights, axis=1, keepdims=True) / count
    variance = ops.sum(ops.square(values - mean) * weights, axis=1, keepdims=True) / count
    return ops.sqrt(variance + _SMALLEST_SCALE**2)
