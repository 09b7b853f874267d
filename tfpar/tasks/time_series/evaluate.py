"""Measures exported forecasters and anomaly detectors on tables; LiteRT and NumPy, without TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.time_series.anomaly_scores import average_precision, range_scores
from tfpar.tasks.time_series.baselines import forecast_naive
from tfpar.tasks.time_series.forecast_scores import score_points, score_quantiles
from tfpar.tasks.time_series.predict import SeriesForecaster
from tfpar.tasks.time_series.predict_anomaly import AnomalyDetector

_ORIGINS = 1000  # at most, evenly spread


def evaluate_forecaster(forecaster: SeriesForecaster, path: Path) -> dict[str, Any]:
    """Backtest a forecaster on all origins of a table, in its units, beside the naive forecast.

    Returns:
        {"examples": number of origins, "metrics"}.

    Raises:
        UserError: the file cannot be read, or has no window.
    """
    truth, forecasts, naive, quantiles = [], [], [], []
    for history, after in forecaster.reader.read_origins(path, _ORIGINS):
        forecast, of_levels = forecaster.forecast(history.values)
        seen = history.values[None, : forecaster.reader.input_length, : after.shape[1]]
        truth.append(after)
        forecasts.append(forecast)
        naive.append(forecast_naive(seen, len(after))[0])
        quantiles += [] if of_levels is None else [of_levels]
    known = np.array(truth)
    if np.isnan(known).all():
        raise UserError(f"{path}: all values that are to be forecast are missing")
    metrics = _scores_in_units(known, np.array(forecasts))
    if quantiles:
        metrics |= score_quantiles(known, np.array(quantiles), forecaster.levels)
    naive_metrics = _scores_in_units(known, np.array(naive))
    return {"examples": len(truth), "metrics": metrics, "baselines": [{"name": "naive", **naive_metrics}]}


def _scores_in_units(truth, forecast):
    scores = score_points(truth, forecast, np.ones(truth.shape[-1]))
    return {name: scores[name] for name in ("mse_units", "mae_units", "smape")}


def evaluate_detector(detector: AnomalyDetector, path: Path, label_column: str) -> dict[str, Any]:
    """Measure a detector on a table with a column of anomalies.

    Returns:
        {"examples": number of labeled steps, "metrics"}.

    Raises:
        UserError: the file cannot be read, or has not both normal steps and anomalies.
    """
    labels, scores, begins = detector.score_labeled(str(path), label_column)
    ranges = range_scores(labels, scores > detector.threshold, begins)
    labels, scores = labels[labels >= 0], scores[labels >= 0]
    if len(np.unique(labels)) < 2:
        raise UserError(f"{path}: the column {label_column!r} must have steps of 0 and of 1")
    is_alarm = scores > detector.threshold
    metrics = {
        "average_precision": average_precision(labels, scores),
        "anomaly_rate": float(labels.mean()),
        "false_alarm_rate": float(is_alarm[labels == 0].mean()),
        **ranges,
    }
    return {"examples": len(labels), "metrics": metrics}
