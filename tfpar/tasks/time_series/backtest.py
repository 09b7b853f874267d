"""Backtests over rolling origins: a forecaster beside the baselines."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfpar.tasks.time_series.baselines import (
    NAIVE,
    SEASONAL_NAIVE,
    SMOOTHING,
    forecast_naive,
    forecast_seasonal_naive,
    forecast_smoothing,
    has_smoothing,
)
from tfpar.tasks.time_series.forecast_data import ForecastData
from tfpar.tasks.time_series.forecast_scores import (
    errors_by_horizon,
    mean_absolute_scaled_error,
    naive_scale,
    score_points,
    score_quantiles,
)

LEVELS = (0.1, 0.5, 0.9)
WINDOWS_AT_MOST = 20_000  # of a split that are measured, evenly spread
_CHUNK = 1024
_SMOOTHED = 60  # fits of exponential smoothing, at most


@dataclasses.dataclass(frozen=True, eq=False)
class Backtest:
    """Results of a forecaster on rolling origins of the test split.

    Attributes:
        metrics: of the forecaster, by name.
        baselines: [{"name", "origins", "mse", "mae", "mase"}], with the network's own on the same origins last.
        error_by_horizon: mean absolute error of standardized values at each step.
        origins: int64 (windows,), the windows of the test split.
        truth, forecast: float (windows, horizon, targets).
        quantiles: float (windows, horizon, targets, levels); None: the forecaster gives one value.
    """

    metrics: dict[str, float]
    baselines: list[dict[str, Any]]
    error_by_horizon: list[float]
    origins: np.ndarray
    truth: np.ndarray
    forecast: np.ndarray
    quantiles: np.ndarray | None


def run_backtest(
    predict: Callable[[np.ndarray], np.ndarray], data: ForecastData, season: int, origins: int = 0
) -> Backtest:
    """Measure a forecaster on all origins of the test split, and baselines beside it.

    Args:
        predict: from float32 (windows, steps, columns) to the forecast (windows, horizon, targets) or to quantiles
            (windows, horizon, targets, levels).
        data: with its windows.
        season: of the seasonal baselines, in steps.
        origins: number of origins of exponential smoothing, which is fitted anew for each; 0: a few.
    """
    chosen = choose_windows(len(data.windows("test")), WINDOWS_AT_MOST)
    truth, outputs = _forecast(predict, data, chosen)
    quantiles = outputs if outputs.ndim == 4 else None
    forecast = outputs if quantiles is None else quantiles[..., LEVELS.index(0.5)]
    deviation = np.array(data.scaling.deviation[: data.targets])
    scale = _window_scales(data, chosen, season)
    metrics = score_points(truth, forecast, deviation)
    metrics |= _mase(truth, forecast, scale)
    if quantiles is not None:
        metrics |= score_quantiles(truth, quantiles, LEVELS)
    return Backtest(
        metrics=metrics,
        baselines=_measure_baselines(data, chosen, truth, forecast, scale, season, origins),
        error_by_horizon=errors_by_horizon(truth, forecast, deviation),
        origins=chosen,
        truth=truth,
        forecast=forecast,
        quantiles=quantiles,
    )


def choose_windows(count: int, at_most: int) -> np.ndarray:
    """Choose windows, evenly spread: int64, ascending."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64))


def _forecast(predict, data, chosen):
    """Return truth and outputs of test windows, chunk by chunk."""
    windows = data.windows("test")
    truth, outputs = [], []
    for start in range(0, len(chosen), _CHUNK):
        rows = windows.gather(chosen[start : start + _CHUNK])
        truth.append(data.truth(rows).copy())
        outputs.append(predict(data.encode(rows)))
    return np.concatenate(truth), np.concatenate(outputs)


def _window_scales(data, chosen, season):
    """Return the MASE scale of each window and target, (windows, targets)."""
    panel, begin, end = data.panel, data.begin[0], data.end[0]
    by_series = np.full((len(panel.ids), data.targets), np.nan)
    for series in range(len(panel.ids)):
        if end[series] - begin[series] > season:
            by_series[series] = naive_scale(panel.values[begin[series] : end[series], : data.targets], season)
    found, _ = data.windows("test").find(chosen)
    return by_series[found]


def _mase(truth, forecast, scale) -> dict[str, float]:
    """Return {"mase"}; {} if all training series are constant or shorter than a season."""
    if not (scale > 0).any():
        return {}
    return {"mase": mean_absolute_scaled_error(truth, forecast, scale)}


def _measure_baselines(data, chosen, truth, forecast, scale, season, origins):
    deviation = np.array(data.scaling.deviation[: data.targets])

    def entry(name, rows, made):
        scores = score_points(truth[rows], made, deviation)
        points = {key: scores[key] for key in ("mse", "mae", "smape")}
        return {"name": name, "origins": len(rows), **points, **_mase(truth[rows], made, scale[rows])}

    every = np.arange(len(chosen))
    history = _histories(data, chosen, max(data.input_length, season))
    entries = [
        entry(NAIVE, every, forecast_naive(history, data.horizon)),
        entry(SEASONAL_NAIVE, every, forecast_seasonal_naive(history, data.horizon, season)),
        entry("network", every, forecast),
    ]
    if has_smoothing():
        few = every[choose_windows(len(every), origins or max(1, min(10, _SMOOTHED // data.targets)))]
        long = _histories(data, chosen[few], max(4 * data.input_length, 10 * season))
        entries.append(entry(SMOOTHING, few, forecast_smoothing(long, data.horizon, season)))
        entries.append(entry("network", few, forecast[few]))
    return entries


def _histories(data, chosen, steps):
    """Return the values before the origins, float (windows, steps, targets); NaN before the start of a series."""
    series, start = data.windows("test").find(chosen)
    origin = start + data.input_length
    rows = origin[:, None] + np.arange(-steps, 0)
    first = data.panel.offsets[:-1][series][:, None]
    history = np.array(data.panel.values[np.maximum(rows, first)][..., : data.targets], np.float32)
    history[rows < first] = np.nan
    return history
