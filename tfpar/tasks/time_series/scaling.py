"""Mean and deviation of the columns of series, in bounded memory."""

import dataclasses

import numpy as np

from tfpar.tasks.time_series.row_buffer import ROWS


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Mean and deviation of each column, of the training steps.

    Attributes:
        mean, deviation: of each column; a constant column has the deviation 1.
        constant: indices of the constant columns.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    constant: tuple[int, ...] = ()


def fit_difference_deviation(values: np.ndarray, offsets: np.ndarray) -> tuple[float, ...]:
    """Compute the root mean square of each column's changes from step to step, without missing values; 1 if it is 0.

    Args:
        values: float (steps of all series, columns); NaN: missing.
        offsets: int64 (series + 1,), the first row of each series, and the end.
    """
    begins = np.zeros(len(values) + 1, bool)
    begins[offsets] = True
    total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for start in range(1, len(values), ROWS):
        rows = values[start - 1 : start + ROWS].astype(np.float64)
        changes = np.diff(rows, axis=0)[~begins[start : start + len(rows) - 1]]
        total += np.nansum(np.square(changes), axis=0)
        count += (~np.isnan(changes)).sum(axis=0)
    deviation = np.sqrt(total / np.maximum(count, 1))
    return tuple(np.where(deviation > 0, deviation, 1.0).tolist())


def fit_scaling(values: np.ndarray, end: int | None = None) -> Scaling:
    """Compute mean and deviation of each column without its missing values.

    Args:
        values: float (steps, columns); NaN: missing.
        end: use the rows before this one; None: all.
    """
    values = values[:end]
    count = np.zeros(values.shape[1])
    total = np.zeros(values.shape[1])
    for start in range(0, len(values), ROWS):
        rows = values[start : start + ROWS].astype(np.float64)
        count += (~np.isnan(rows)).sum(axis=0)
        total += np.nansum(rows, axis=0)
    mean = total / np.maximum(count, 1)
    squares = np.zeros(values.shape[1])
    for start in range(0, len(values), ROWS):
        squares += np.nansum(np.square(values[start : start + ROWS].astype(np.float64) - mean), axis=0)
    deviation = np.sqrt(squares / np.maximum(count, 1))
    is_constant = deviation <= np.maximum(1e-6 * np.abs(mean), np.finfo(np.float32).tiny)
    scaled = np.where(is_constant, 1.0, deviation)
    return Scaling(tuple(mean.tolist()), tuple(scaled.tolist()), tuple(np.flatnonzero(is_constant).tolist()))
