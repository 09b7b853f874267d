"""`ConformalInterval`: intervals of forecasts, calibrated on windows that the network was not trained on."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfpar.layers.argument_types import Shape
from tfpar.models.window_scaling import find_scale


@keras.saving.register_keras_serializable(package="tfpar")
class ConformalInterval(keras.layers.Layer):
    """Quantiles whose outer ones are moved outwards by margins, in units of the scale of the window or of the series.

    A point forecast becomes three quantiles: itself, and itself moved by each margin. Margins below 0 move inwards, at
    most to the middle quantile. In an int8 file the layer computes in float32.

    Args:
        margins: (horizon, targets, 2), of the lowest and the highest quantile.
        scaling: see `WindowScaling`.
        input_length: steps of the window.
        mean, deviation: of each target, of the training steps.
        has_indicators: see `tfpar.models.series_layers.SeriesInput`.
        is_count: forecasts are not below 0.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        outputs: float (batch, horizon, targets), or (batch, horizon, targets, levels), levels odd and ascending.
        series: float (batch, steps, columns), the input of the forecaster.

    Returns:
        float (batch, horizon, targets, levels), 3 levels for a point forecast.

    References:
        Romano, Patterson & Candes 2019, Conformalized quantile regression, arXiv:1905.03222. Lei et al. 2018,
        Distribution-free predictive inference for regression, section 5.2: scaled residuals.
    """

    keep_float32 = True

    def __init__(
        self,
        margins: Sequence[Sequence[Sequence[float]]],
        scaling: str,
        input_length: int,
        mean: Sequence[float],
        deviation: Sequence[float],
        has_indicators: bool = False,
        is_count: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.margins = np.array(margins, np.float64).tolist()
        self.scaling, self.input_length = scaling, input_length
        self.mean, self.deviation = tuple(map(float, mean)), tuple(map(float, deviation))
        self.has_indicators, self.is_count = has_indicators, is_count
        self.built = True

    def scale(self, series: tf.Tensor) -> tf.Tensor:
        """Return the scale of each window and target, in units of the series: float (batch, 1, targets)."""
        targets = len(self.mean)
        mean, deviation = (ops.cast(np.array(one), series.dtype) for one in (self.mean, self.deviation))
        width = series.shape[-1] // 2 if self.has_indicators else series.shape[-1]
        if self.scaling == "series":
            return series[:, :1, width - targets : width]
        window = series[:, : self.input_length]
        observed = window[..., width : width + targets] if self.has_indicators else None
        return find_scale(self.scaling, (window[..., :targets] - mean) / deviation, observed) * deviation

    def call(self, outputs: tf.Tensor, series: tf.Tensor) -> tf.Tensor:
        scale, margins = self.scale(series), ops.cast(np.array(self.margins), outputs.dtype)
        quantiles = [outputs] * 3 if len(outputs.shape) == 3 else ops.unstack(outputs, axis=-1)
        middle = quantiles[len(quantiles) // 2]
        quantiles[0] = ops.minimum(quantiles[0] - margins[..., 0] * scale, middle)
        quantiles[-1] = ops.maximum(quantiles[-1] + margins[..., 1] * scale, middle)
        quantiles = ops.stack(quantiles, axis=-1)
        return ops.maximum(quantiles, 0.0) if self.is_count else quantiles

    def compute_output_shape(self, outputs_shape: Shape, series_shape: Shape) -> Shape:
        return outputs_shape if len(outputs_shape) == 4 else (*outputs_shape, 3)

    def get_config(self) -> dict[str, Any]:
        names = ("margins", "scaling", "input_length", "mean", "deviation", "has_indicators", "is_count")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
