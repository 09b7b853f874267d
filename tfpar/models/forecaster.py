"""Forecasters of time series: segments, an encoder and a decoder with attention, or one output for all steps."""

from collections.abc import Sequence

import keras
from keras import ops

from tfpar import layers
from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.models.forecast_network import KINDS, ForecastNetwork
from tfpar.models.series_layers import SeriesInput

SCALINGS = ("global", "window")
_SMALLEST_SCALE = 1e-2  # of a window, in deviations of the training steps


def forecaster(
    kind: str = "segrnn",
    *,
    input_length: int,
    horizon: int,
    targets: int,
    past: int = 0,
    known: int = 0,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    has_indicators: bool = False,
    scaling: str = "global",
    quantiles: Sequence[float] = (),
    cell: str | type[RecurrentLayer] = "gru",
    units: int = 256,
    segment: int = 24,
    dropout: float = 0.5,
    seed: int = 0,
) -> keras.Model:
    """Build a forecaster: all steps of the horizon at once, in the units of the input.

    Args:
        kind: "segrnn": each target by itself, segment by segment; "seq2seq": an encoder of all columns and a decoder
            with attention; "direct": an encoder, and one dense layer for all steps of the horizon.
        input_length: steps that are seen.
        horizon: steps that are forecast.
        targets: number of columns to forecast, the first ones.
        past: number of further columns that are known up to now; "segrnn" does not use them.
        known: number of columns that are known ahead, the last ones. Then the input has `horizon` more steps, of which
            only these columns are used.
        mean, deviation: of each column, of the training steps; None: 0 and 1.
        has_indicators: see `tfpar.models.series_layers.SeriesInput`.
        scaling: of the targets, after their last value was subtracted: "global": by `deviation`; "window": also by
            their deviation within the window, for series of different or growing scale.
        quantiles: levels of the quantiles to forecast, ascending; empty: one value.
        cell: one of `tfpar.models.CELLS`, "module:Class" or a subclass of `tfpar.layers.RecurrentLayer`.
        units: of the recurrent layers.
        segment: "segrnn": steps of a segment; it must divide `input_length` and `horizon`.
        dropout: of the features before the output.
        seed: of the initial weights and the dropout.

    Returns:
        float32 (batch, steps, columns) "series" -> float32 (batch, horizon, targets) "forecast", or (batch, horizon,
        targets, quantiles) "quantiles".

    Raises:
        ValueError: an argument is out of range.

    References:
        Lin et al. 2023, SegRNN, arXiv:2308.11200. Wen et al. 2017, A multi-horizon quantile recurrent forecaster,
        arXiv:1711.11053.

    Example:

    >>> model = tfpar.models.forecaster(input_length=24, horizon=12, targets=2, segment=12, units=8)
    >>> tuple(model(np.ones((4, 24, 2), "float32")).shape)
    (4, 12, 2)
    """
    check_one_of("kind", kind, KINDS)
    check_one_of("scaling", scaling, SCALINGS)
    for name, value in (("input_length", input_length), ("horizon", horizon), ("targets", targets), ("units", units)):
        check_positive_integer(name, value)
    check_fraction("dropout", dropout)
    if kind == "segrnn" and (input_length % segment or horizon % segment):
        raise ValueError(
            f"`segment` must divide `input_length` and `horizon`; got {segment}, {input_length} and {horizon}. Choose "
            "a common divisor of both."
        )
    columns = targets + past + known
    mean = (0.0,) * columns if mean is None else tuple(mean)
    deviation = (1.0,) * columns if deviation is None else tuple(deviation)
    steps = input_length + (horizon if known else 0)
    series, x = SeriesInput(columns, steps, mean, deviation, has_indicators).make()
    network = ForecastNetwork(
        input_length, horizon, targets, known, max(1, len(quantiles)), cell, units, segment, dropout, seed
    )
    values = x[:, :input_length, :targets]
    observed = x[:, :input_length, columns : columns + targets] if has_indicators else None
    level = _last_value(values, observed)
    scale = _deviation(values, observed) if scaling == "window" else None
    centered = values - level if scale is None else (values - level) / scale
    if observed is not None:
        centered = centered * observed
    forecast = network(kind, centered, x, columns)
    if quantiles:
        forecast = _make_ascending(forecast)
    else:
        forecast = forecast[..., 0]
    shape = (-1, 1, targets, 1) if quantiles else (-1, 1, targets)
    if scale is not None:
        forecast = forecast * ops.reshape(scale, shape)
    forecast = forecast + ops.reshape(level, shape)
    name = "quantiles" if quantiles else "forecast"
    output = layers.Unstandardization(mean[:targets], deviation[:targets], dtype="float32", name=name)(forecast)
    return keras.Model(series, output, name="forecaster")


def _make_ascending(outputs):
    """Turn the last axis into ascending values: the first one, and positive increments."""
    values = [outputs[..., :1]]
    for index in range(1, outputs.shape[-1]):
        values.append(values[-1] + ops.softplus(outputs[..., index : index + 1]))
    return ops.concatenate(values, axis=-1)


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
