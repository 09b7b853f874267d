"""Baselines of forecasting: naive, seasonal naive and exponential smoothing."""

import importlib.util
import warnings

import numpy as np

NAIVE, SEASONAL_NAIVE, SMOOTHING = BASELINES = ("naive", "seasonal_naive", "exponential_smoothing")
_FITTED_STEPS = 500  # of history, at most, for each fit of exponential smoothing


def fill_forward(history: np.ndarray) -> np.ndarray:
    """Replace missing values by the last value before, or the first one after; zeros without any.

    Args:
        history: float (windows, steps, targets).
    """
    steps = np.arange(history.shape[1])[None, :, None]
    last = np.maximum.accumulate(np.where(np.isnan(history), -1, steps), axis=1)
    filled = np.take_along_axis(history, np.maximum(last, 0), axis=1)
    first = np.argmax(~np.isnan(history), axis=1)[:, None]
    filled = np.where(last < 0, np.take_along_axis(history, first, axis=1), filled)
    return np.nan_to_num(filled)


def forecast_naive(history: np.ndarray, horizon: int) -> np.ndarray:
    """Repeat the last value: float (windows, horizon, targets)."""
    return np.repeat(fill_forward(history)[:, -1:], horizon, axis=1)


def forecast_seasonal_naive(history: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Repeat the last season; the last value if the history is shorter than a season."""
    if history.shape[1] < season:
        return forecast_naive(history, horizon)
    last = fill_forward(history)[:, -season:]
    return last[:, np.arange(horizon) % season]


def has_smoothing() -> bool:
    """Return whether statsmodels is installed."""
    return importlib.util.find_spec("statsmodels") is not None


def forecast_smoothing(history: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Forecast by exponential smoothing with a damped trend and, from two seasons on, an additive season.

    Args:
        history: float (windows, steps, targets).
        horizon, season: in steps.

    Raises:
        ImportError: statsmodels is not installed.

    References:
        Hyndman & Athanasopoulos, Forecasting: principles and practice, chapter 8.
    """
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    history = fill_forward(history)[:, -max(_FITTED_STEPS, 4 * season) :]
    forecasts = np.empty((len(history), horizon, history.shape[2]))
    has_season = season > 1 and history.shape[1] >= 2 * season + 2
    seasonal = {"seasonal": "add", "seasonal_periods": season} if has_season else {}
    for window, target in np.ndindex(len(history), history.shape[2]):
        series = history[window, :, target].astype(np.float64)
        forecast = np.full(horizon, series[-1])
        if np.ptp(series) > 0 and len(series) >= 10:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of fits that do not converge: the best values so far are used
                fitted = ExponentialSmoothing(series, trend="add", damped_trend=True, **seasonal).fit()
                forecast = fitted.forecast(horizon)
        forecasts[window, :, target] = np.where(np.isfinite(forecast), forecast, series[-1])
    return forecasts
