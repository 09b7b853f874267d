"""Plots of series for cards and predictions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfpar.export.report.plots import new_figure
from tfpar.tasks.time_series.anomaly_scores import find_ranges
from tfpar.tasks.time_series.backtest import Backtest
from tfpar.tasks.time_series.forecast_data import ForecastData

_TARGETS_AT_MOST = 4
_COLUMNS_IN_LEGEND = 8


def draw_forecast(data: ForecastData, backtest: Backtest, path: Path) -> None:
    """Plot the forecast of the last origin with its interval over the truth, as a PNG."""
    window = data.windows("test").gather(backtest.origins[-1:])[0]
    quantiles = None if backtest.quantiles is None else backtest.quantiles[-1]
    names = data.panel.columns[: data.targets]
    draw_series(window[:, : data.targets], backtest.forecast[-1], quantiles, names, path)


def draw_error_by_horizon(errors: list[float], path: Path) -> None:
    """Plot the mean absolute error of standardized values at each step of the horizon, as a PNG."""
    figure = new_figure(6, 3)
    axes = figure.subplots()
    axes.plot(range(1, len(errors) + 1), errors, marker="." if len(errors) < 50 else None)
    axes.set(xlabel="step of the horizon", ylabel="mean absolute error", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(path)


def draw_series(
    values: np.ndarray, forecast: np.ndarray, quantiles: np.ndarray | None, names: tuple[str, ...], path: Path
) -> None:
    """Plot values, and a forecast over their end or after it, as a PNG.

    Args:
        values: float (steps, targets); the last `horizon` are those to be forecast, if there are more than the history.
        forecast: float (horizon, targets).
        quantiles: float (horizon, targets, levels), of which the outer two are the interval; None: no interval.
        names: of the targets; the first few are plotted.
        path: of the PNG.
    """
    shown = min(len(names), _TARGETS_AT_MOST)
    figure = new_figure(8, 2.2 * shown + 0.5)
    steps = np.arange(len(values) - len(forecast), len(values))
    for index, axes in enumerate(figure.subplots(shown, 1, squeeze=False)[:, 0]):
        axes.plot(np.arange(len(values)), values[:, index], color="black", linewidth=1, label="truth")
        axes.plot(steps, forecast[:, index], color="tab:blue", label="forecast")
        if quantiles is not None:
            low, high = quantiles[:, index, 0], quantiles[:, index, -1]
            axes.fill_between(steps, low, high, color="tab:blue", alpha=0.25, label="80 % interval")
        axes.set(ylabel=names[index])
        axes.grid(alpha=0.3)
    figure.axes[0].legend(loc="upper left")
    figure.savefig(path)


def draw_labeled(values: np.ndarray, names: Sequence[str], title: str, path: Path) -> None:
    """Plot the columns of a series, float (steps, columns), with a title, as a PNG."""
    figure = new_figure(7, 3)
    axes = figure.subplots()
    for index, name in enumerate(names):
        axes.plot(values[:, index], linewidth=1, label=name)
    axes.set(title=title, xlabel="step")
    axes.grid(alpha=0.3)
    if len(names) <= _COLUMNS_IN_LEGEND:
        axes.legend(loc="upper left")
    figure.savefig(path)


def draw_scores(scores: np.ndarray, threshold: float, labels: np.ndarray | None, path: Path) -> None:
    """Plot scores, the threshold and the true anomalies, if they are known, as a PNG."""
    figure = new_figure(9, 3)
    axes = figure.subplots()
    axes.plot(scores, linewidth=0.8, label="score")
    axes.axhline(threshold, color="tab:red", linestyle="--", label="threshold")
    for begin, end in find_ranges(labels > 0) if labels is not None else ():
        axes.axvspan(begin, end, color="tab:orange", alpha=0.3)
    axes.set(xlabel="step", ylabel="score", yscale="symlog")
    axes.legend(loc="upper left")
    figure.savefig(path)
