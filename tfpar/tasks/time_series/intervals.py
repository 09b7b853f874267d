"""Intervals around point forecasts, from the residuals of the validation split (split conformal prediction)."""

import numpy as np

_WINDOWS_PER_STEP = 20  # from which each step of the horizon has residuals enough of its own


def fit_offsets(truth: np.ndarray, forecast: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Compute the offsets of quantiles from a point forecast.

    Each offset is an empirical quantile of the residuals with the correction for a finite sample. With few windows the
    steps of the horizon share their residuals. Residuals of one window depend on each other, so the size of the sample
    is the number of windows: of very few, the outer offsets are the smallest and the largest residual.

    Args:
        truth, forecast: float (windows, horizon, targets) of the validation split; NaN: missing.
        levels: of the quantiles.

    Returns:
        float32 (horizon, targets, levels).

    References:
        Vovk et al. 2005, Algorithmic learning in a random world; Stankeviciute et al. 2021, Conformal time-series
        forecasting.
    """
    residuals = truth.astype(np.float64) - forecast
    windows, horizon, targets = residuals.shape
    offsets = np.zeros((horizon, targets, len(levels)), np.float32)
    for step, target in np.ndindex(horizon, targets):
        own = residuals[:, step, target] if windows >= _WINDOWS_PER_STEP else residuals[:, :, target]
        own = own[~np.isnan(own)]
        if len(own):
            offsets[step, target] = [_quantile(own, level, windows) for level in levels]
    return offsets


def _quantile(values, level, windows):
    corrected = level + (level - 0.5) * 2 / windows  # outwards, by the rank (n + 1) of a new residual
    return np.quantile(values, np.clip(corrected, 0, 1))
