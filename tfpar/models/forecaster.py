"""Forecasters of time series, of three kinds.

- "segrnn": each target by itself, segment by segment, without the past columns (Lin et al. 2023, arXiv:2308.11200);
- "seq2seq": an encoder of all columns, and a decoder with attention;
- "direct": an encoder, and one dense layer for all steps of the horizon. With quantiles it is the multi-horizon
  quantile recurrent forecaster (Wen et al. 2017, arXiv:1711.11053).

>>> model = tfpar.models.forecaster(input_length=24, horizon=12, targets=2, segment=12, units=8)
>>> tuple(model(np.ones((4, 24, 2), "float32")).shape)
(4, 12, 2)
"""

from collections.abc import Sequence

import keras
from keras import ops

from tfpar import layers
from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.models.forecast_network import KINDS, ForecastNetwork
from tfpar.models.series_layers import SeriesInput, fill
from tfpar.models.window_scaling import SCALINGS, WindowRescaling, WindowScaling


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
    """Build a forecaster: all steps of the horizon at once, in the units of the input; see the module.

    Args:
        kind: one of `KINDS`.
        input_length, horizon: steps that are seen, and steps that are forecast.
        targets, past, known: numbers of columns, in this order; if any are known ahead, the input has `horizon` more
            steps, of which only these columns are used.
        mean, deviation, has_indicators: see `tfpar.models.series_layers.SeriesInput`.
        scaling: of the targets less their last value: "global" by `deviation`, "window" also by that of the window.
            "series": by that of the series; the input then has 2 * `targets` more columns, equal in all steps: mean and
            deviation of each target in the series.
        quantiles: ascending levels of the quantiles to forecast; empty: one value.
        cell, units: of the recurrent layers; `cell` is one of `tfpar.models.CELLS`, "module:Class" or a subclass of
            `tfpar.layers.RecurrentLayer`.
        segment: "segrnn": steps of a segment; it must divide `input_length` and `horizon`.
        dropout, seed: of the features before the output; of the initial weights and the dropout.

    Returns:
        float32 (batch, steps, columns) "series" -> float32 (batch, horizon, targets) "forecast", or (batch, horizon,
        targets, quantiles) "quantiles".

    Raises:
        ValueError: an argument is out of range.
    """
    sizes = {"input_length": input_length, "horizon": horizon, "targets": targets, "units": units}
    _check(kind, scaling, sizes, segment, dropout)
    columns = targets + past + known
    mean, deviation = fill(mean, 0.0, columns), fill(deviation, 1.0, columns)
    inputs = SeriesInput(columns, input_length + (horizon if known else 0), mean, deviation, has_indicators)
    series, x, statistics = inputs.make_with_statistics(targets if scaling == "series" else 0)
    outputs = max(1, len(quantiles))
    network = ForecastNetwork(input_length, horizon, targets, known, outputs, cell, units, segment, dropout, seed)
    observed = x[:, :input_length, columns : columns + targets] if has_indicators else None
    relative, rescale = _scale_window(scaling, x[:, :input_length, :targets], observed, statistics)
    forecast = network(kind, relative, x, columns)
    forecast = rescale(_make_ascending(forecast) if quantiles else forecast[..., 0])
    name = "quantiles" if quantiles else "forecast"
    output = layers.Unstandardization(mean[:targets], deviation[:targets], dtype="float32", name=name)(forecast)
    return keras.Model(series, output, name="forecaster")


def _check(kind, scaling, sizes, segment, dropout):
    check_one_of("kind", kind, KINDS)
    check_one_of("scaling", scaling, SCALINGS)
    for name, value in sizes.items():
        check_positive_integer(name, value)
    check_fraction("dropout", dropout)
    input_length, horizon = sizes["input_length"], sizes["horizon"]
    if kind == "segrnn" and (input_length % segment or horizon % segment):
        raise ValueError(
            f"`segment` must divide `input_length` and `horizon`; got {segment}, {input_length} and {horizon}. Choose "
            "a common divisor of both."
        )


def _scale_window(scaling, values, observed, statistics):
    """Return the values relative to their window, and a function that undoes it for a forecast."""
    window = WindowScaling(scaling, dtype="float32", name="window_scaling")
    relative, level, scale = window(values, observed, statistics)
    undo = WindowRescaling(dtype="float32", name="window_rescaling")
    return relative, lambda forecast: undo(forecast, level, None if scaling == "global" else scale)


def _make_ascending(outputs):
    """Turn the last axis into ascending values: the first one, and positive increments."""
    values = [outputs[..., :1]]
    for index in range(1, outputs.shape[-1]):
        values.append(values[-1] + ops.softplus(outputs[..., index : index + 1]))
    return ops.concatenate(values, axis=-1)
