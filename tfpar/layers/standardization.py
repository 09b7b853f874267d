"""`Standardization`: columns of series, scaled in the graph, with a mask for missing steps."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfpar.layers.argument_types import Shape
from tfpar.layers.step_layer import StepLayer


@keras.saving.register_keras_serializable(package="tfpar")
class Standardization(StepLayer, keras.layers.Layer):
    """Standardization of the columns of a series: (x - mean) / deviation.

    If `has_indicators`, the second half of the columns are indicators: 1 where the value is observed, 0 where it is
    missing. Missing values become 0, which is the mean, and a step is masked if all of its values are missing.

    In an int8 file it computes in float32, since the units of the columns differ.

    Args:
        mean, deviation: of each column; deviations are above zero.
        has_indicators: whether the input has an indicator for each column.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        series: float (batch, time, columns), or (batch, time, 2 * columns) with indicators.

    Returns:
        float of the same shape; indicators are unchanged.

    Example:

    >>> Standardization([1.0], [2.0])(np.array([[[1.0], [5.0]]])).numpy().ravel()
    array([0., 2.], dtype=float32)
    """

    keep_float32 = True  # in an int8 file

    def __init__(self, mean: Sequence[float], deviation: Sequence[float], has_indicators: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if len(mean) != len(deviation) or not len(mean) or min(deviation) <= 0:
            raise ValueError(
                "`mean` and `deviation` must have one number for each column, deviations above zero; got "
                f"mean={mean!r}, deviation={deviation!r}"
            )
        self.mean = tuple(map(float, mean))
        self.deviation = tuple(map(float, deviation))
        self.has_indicators = has_indicators
        self.supports_masking = True
        self.built = True

    def call(self, series: tf.Tensor) -> tf.Tensor:
        columns = len(self.mean)
        mean, scale = (ops.cast(v, series.dtype) for v in (np.array(self.mean), 1 / np.array(self.deviation)))
        values = (series[..., :columns] - mean) * scale
        if not self.has_indicators:
            return values
        indicators = series[..., columns:]
        return ops.concatenate([values * indicators, indicators], axis=-1)

    def compute_mask(self, series: Any, previous_mask: Any = None) -> Any:
        if not self.has_indicators:
            return previous_mask
        # The maximum of ones and zeros: TFLite Micro has no `any`.
        return ops.max(series[..., len(self.mean) :], axis=-1) > 0.5

    def compute_output_shape(self, series_shape: Shape) -> Shape:
        return series_shape

    def get_config(self) -> dict[str, Any]:
        names = ("mean", "deviation", "has_indicators")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="tfpar")
class Unstandardization(StepLayer, keras.layers.Layer):
    """Inverse of `Standardization`, for outputs: y * deviation + mean.

    Args:
        mean, deviation: of each target.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        outputs: float (batch, horizon, targets), or (batch, horizon, targets, quantiles).

    Example:

    >>> Unstandardization([1.0], [2.0])(np.array([[[0.0], [2.0]]])).numpy().ravel()
    array([1., 5.], dtype=float32)
    """

    keep_float32 = True  # in an int8 file

    def __init__(self, mean: Sequence[float], deviation: Sequence[float], **kwargs: Any):
        super().__init__(**kwargs)
        self.mean, self.deviation = tuple(map(float, mean)), tuple(map(float, deviation))
        self.built = True

    def call(self, outputs: tf.Tensor) -> tf.Tensor:
        shape = (len(self.mean),) + (1,) * (len(outputs.shape) - 3)
        mean, deviation = (ops.cast(np.reshape(v, shape), outputs.dtype) for v in (self.mean, self.deviation))
        return outputs * deviation + mean

    def compute_output_shape(self, outputs_shape: Shape) -> Shape:
        return outputs_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "deviation": self.deviation}
