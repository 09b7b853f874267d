"""Intervals calibrated on the validation split, by conformalized quantile regression."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfpar.tasks.time_series.backtest import LEVELS, WINDOWS_AT_MOST, choose_windows
from tfpar.tasks.time_series.forecast_data import ForecastData

_WINDOWS_PER_STEP = 20  # from which each step of the horizon has errors enough of its own
_CHUNK = 1024


def fit_margins(truth: np.ndarray, low: np.ndarray, high: np.ndarray, scale: np.ndarray, coverage: float) -> np.ndarray:
    """Compute the margins by which intervals must be widened to cover a fraction of the truth.

    The scores of a value are its distances below and above the interval, negative inside, over the scale. Each margin
    is a quantile of such scores with the correction for a finite sample, so that either end has half of the truth that
    is not covered. With few windows the steps of the horizon share their scores.

    Args:
        truth: float (windows, horizon, targets) of windows that were not trained on; NaN: missing.
        low, high: of the same shape, the intervals; equal for a point forecast.
        scale: float (windows, 1, targets), above 0.
        coverage: fraction to cover.

    Returns:
        float64 (horizon, targets, 2), below and above, in units of the scale.

    References:
        Romano, Patterson & Candes 2019, Conformalized quantile regression, arXiv:1905.03222, theorem 2. Stankeviciute
        et al. 2021, Conformal time-series forecasting.
    """
    truth = truth.astype(np.float64)
    scores = np.stack([low - truth, truth - high], axis=-1) / scale[..., None]
    windows, horizon, targets, _ = scores.shape
    margins = np.zeros((horizon, targets, 2))
    for step, target in np.ndindex(horizon, targets):
        own = scores[:, step, target] if windows >= _WINDOWS_PER_STEP else scores[:, :, target].reshape(-1, 2)
        own = own[~np.isnan(own[:, 0])]
        if len(own):
            level = (1 + coverage) / 2 * (1 + 1 / len(own))
            margins[step, target] = np.quantile(own, min(1.0, level), axis=0)
    return margins


def calibrate(predict: Callable[[np.ndarray], np.ndarray], data: ForecastData, scaling: str) -> Any:
    """Make the `ConformalInterval` of a forecaster from the validation split; None without validation windows.

    Args:
        predict: see `run_backtest`.
        data: with its windows.
        scaling: of the margins, see `tfpar.models.window_scaling.WindowScaling`; "counts" for counts.
    """
    import tensorflow as tf

    from tfpar.models.conformal_interval import ConformalInterval

    windows, is_count = data.windows("validation"), scaling == "counts"
    if not len(windows):
        return None
    mean, deviation = np.zeros(data.targets), np.ones(data.targets)
    if not is_count:
        mean, deviation = (np.array(one[: data.targets]) for one in (data.scaling.mean, data.scaling.deviation))

    def make(margins):
        shared: dict[str, Any] = dict(
            has_indicators=data.has_indicators, is_count=is_count, dtype="float32", name="intervals"
        )
        return ConformalInterval(margins, scaling, data.input_length, mean.tolist(), deviation.tolist(), **shared)

    without_margins = make(np.zeros((data.horizon, data.targets, 2)))
    chosen = choose_windows(len(windows), WINDOWS_AT_MOST)
    chunks = []
    for start in range(0, len(chosen), _CHUNK):
        rows = windows.gather(chosen[start : start + _CHUNK])
        inputs = data.encode(rows)
        quantiles, scale = predict(inputs), without_margins.scale(tf.constant(inputs)).numpy()
        low, high = (quantiles, quantiles) if quantiles.ndim == 3 else (quantiles[..., 0], quantiles[..., -1])
        chunks.append((data.truth(rows).copy(), low, high, scale))
    truth, low, high, scale = (np.concatenate(arrays) for arrays in zip(*chunks, strict=True))
    return make(fit_margins(truth, low, high, scale, LEVELS[-1] - LEVELS[0]))
