"""Scores of forecasts; NumPy only."""

from collections.abc import Sequence

import numpy as np

_ROWS = 1 << 16


def score_points(truth: np.ndarray, forecast: np.ndarray, deviation: np.ndarray) -> dict[str, float]:
    """Score point forecasts, without missing values.

    Args:
        truth, forecast: float (windows, horizon, targets), in units; NaN in `truth`: missing.
        deviation: of the training steps of each target.

    Returns:
        {"mse", "mae"} of standardized values, {"mse_units", "mae_units", "smape"}, the last in percent.
    """
    errors = forecast.astype(np.float64) - truth
    scaled = errors / deviation
    size = (np.abs(truth) + np.abs(forecast)) / 2
    ratio = np.divide(np.abs(errors), size, out=np.where(np.isnan(errors), np.nan, 0.0), where=size > 0)
    return {
        "mse": float(np.nanmean(np.square(scaled))),
        "mae": float(np.nanmean(np.abs(scaled))),
        "mse_units": float(np.nanmean(np.square(errors))),
        "mae_units": float(np.nanmean(np.abs(errors))),
        "smape": float(100 * np.nanmean(ratio)),
    }


def mean_absolute_scaled_error(truth: np.ndarray, forecast: np.ndarray, scale: np.ndarray) -> float:
    """Compute MASE: absolute errors over those of the seasonal naive forecast on the training steps.

    Args:
        truth, forecast: float (windows, horizon, targets).
        scale: of each window and target, (windows, targets), see `naive_scale`; not above zero: left out.

    References:
        Hyndman & Koehler 2006, Another look at measures of forecast accuracy.
    """
    scale = np.where(scale > 0, scale, np.nan)[:, None]
    return float(np.nanmean(np.abs(forecast.astype(np.float64) - truth) / scale))


def naive_scale(values: np.ndarray, season: int) -> np.ndarray:
    """Return the mean absolute difference of values one season apart: float64 (targets,); NaN without any.

    Args:
        values: float (training steps of one series, targets).
        season: in steps.
    """
    count, total = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for start in range(0, len(values) - season, _ROWS):
        end = min(start + _ROWS, len(values) - season)
        differences = np.abs(values[start + season : end + season].astype(np.float64) - values[start:end])
        count += (~np.isnan(differences)).sum(axis=0)
        total += np.nansum(differences, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def score_quantiles(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> dict[str, float]:
    """Score forecasts of quantiles.

    Args:
        truth: float (windows, horizon, targets); NaN: missing.
        quantiles: float (windows, horizon, targets, levels), ascending.
        levels: of the quantiles, ascending.

    Returns:
        {"wql": weighted quantile loss, the sum of twice the pinball losses over the sum of absolute values, averaged
        over the levels; "coverage": fraction of the truth from the lowest to the highest quantile}.
    """
    total = np.nansum(np.abs(truth), dtype=np.float64)
    losses = []
    for index, level in enumerate(levels):
        errors = truth.astype(np.float64) - quantiles[..., index]
        losses.append(2 * np.nansum(np.maximum(level * errors, (level - 1) * errors)) / total if total else 0.0)
    observed = ~np.isnan(truth)
    inside = (truth >= quantiles[..., 0]) & (truth <= quantiles[..., -1])
    return {"wql": float(np.mean(losses)), "coverage": float(inside[observed].mean())}


def errors_by_horizon(truth: np.ndarray, forecast: np.ndarray, deviation: np.ndarray) -> list[float]:
    """Return the mean absolute error of standardized values at each step of the horizon; 0 where nothing is known."""
    errors = np.abs(forecast.astype(np.float64) - truth) / deviation
    count = (~np.isnan(errors)).sum(axis=(0, 2))
    return (np.nansum(errors, axis=(0, 2)) / np.maximum(count, 1)).tolist()
