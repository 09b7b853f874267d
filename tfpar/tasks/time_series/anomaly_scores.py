"""Anomaly scores of the steps of a series, and their evaluation without point adjustment; NumPy only."""

from collections.abc import Callable, Sequence

import numpy as np

_WINDOWS = 1024  # that are estimated at once


def score_steps(
    estimate: Callable[[np.ndarray], np.ndarray], values: np.ndarray, steps: int, shift: int, deviation: np.ndarray
) -> np.ndarray:
    """Compute the score of each step: the mean over the columns of the squared standardized error.

    The series is covered by windows that overlap by half. With `shift` 1, where a step is estimated from those before,
    a step's score is that with the longest history; otherwise it is the mean over the windows.

    Args:
        estimate: from float (windows, steps, columns), NaN: missing, to estimates (windows, steps, columns).
        values: float (steps of the series, columns), at least one window.
        steps: of a window.
        shift: 0: step t of an estimate is that of step t; 1: that of step t + 1.
        deviation: of each column.

    Returns:
        float64 (steps of the series,); 0 where nothing is known: missing steps, and with `shift` 1 the first one.
    """
    starts = np.unique([*range(0, len(values) - steps, max(1, steps // 2)), len(values) - steps])
    total, count = np.zeros(len(values)), np.zeros(len(values))
    for begin in range(0, len(starts), _WINDOWS):
        chunk = starts[begin : begin + _WINDOWS]
        windows = np.asarray(values[chunk[:, None] + np.arange(steps)])
        errors = (windows[:, shift:] - estimate(windows)[:, : steps - shift]) / deviation
        for start, of_window in zip(chunk, _mean_squares(errors), strict=True):
            own = slice(start + shift, start + steps)
            if shift:
                is_new = count[own] == 0
                total[own][is_new] = of_window[is_new]
                count[own] = 1
            else:
                total[own] += of_window
                count[own] += 1
    return total / np.maximum(count, 1)


def _mean_squares(errors):
    """Return the mean over the columns of the squared errors that are not NaN; 0 without any."""
    observed = ~np.isnan(errors)
    return np.where(observed, np.square(np.nan_to_num(errors)), 0).sum(axis=-1) / np.maximum(observed.sum(axis=-1), 1)


def smooth(scores: np.ndarray, steps: int) -> np.ndarray:
    """Return the mean of each score and those before it, over `steps` in all: float64 (steps of the series,)."""
    summed = np.concatenate([[0.0], np.cumsum(scores)])
    end = np.arange(1, len(scores) + 1)
    begin = np.maximum(0, end - steps)
    return (summed[end] - summed[begin]) / (end - begin)


def rolling_z_scores(values: np.ndarray, steps: int) -> np.ndarray:
    """Compute the baseline: the mean over the columns of the squared z-score against the `steps` before each step."""
    filled = np.nan_to_num(values.astype(np.float64), nan=0.0)
    sums, squares = (
        np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(v, axis=0)]) for v in (filled, filled**2)
    )
    end = np.arange(len(values))
    begin = np.maximum(0, end - steps)
    count = np.maximum(end - begin, 1)[:, None]
    mean = (sums[end] - sums[begin]) / count
    variance = np.maximum((squares[end] - squares[begin]) / count - mean**2, 0)
    z = (filled - mean) / np.sqrt(variance + 1e-6 * filled.var(axis=0) + 1e-12)
    z[: min(2, len(z))] = 0
    return np.square(z).mean(axis=1)


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Compute the area under the curve of precision over recall, as the mean precision at each true step.

    Args:
        labels: int (steps,), 1: anomaly.
        scores: float (steps,).

    >>> average_precision(np.array([0, 1, 1]), np.array([0.1, 0.9, 0.5]))
    1.0
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    # Steps with equal scores have the precision after the last of them.
    last = np.searchsorted(-scores[order], -scores[order], side="right") - 1
    precision = hits[last] / (last + 1)
    return float((precision * labels[order]).sum() / max(1, labels.sum()))


def range_scores(labels: np.ndarray, is_alarm: np.ndarray, begins: Sequence[int] = ()) -> dict[str, float]:
    """Compute range-based precision, recall and F1.

    Recall is the mean over true ranges of the fraction of the range that has an alarm; precision the mean over alarms,
    as ranges, of the fraction that is anomalous. So a long range counts as much as a short one, and one hit does not
    count as a whole range. It is the definition of the reference with a flat bias, without existence reward (alpha 0)
    and without a penalty for fragments.

    Args:
        labels: int (steps,), 1: anomaly, 0: normal, -1: unknown, where a range ends.
        is_alarm: bool (steps,).
        begins: the first step of each series, where a range ends, too.

    References:
        Tatbul et al. 2018, Precision and recall for time series, arXiv:1803.03639.

    >>> range_scores(np.array([0, 1, 1, 0]), np.array([False, True, False, False]))["range_recall"]
    0.5
    """
    labels, is_alarm = np.insert(labels, list(begins), -1), np.insert(is_alarm, list(begins), False)
    truth, is_alarm = labels > 0, is_alarm & (labels >= 0)
    recall = [float(is_alarm[a:b].mean()) for a, b in find_ranges(truth)]
    precision = [float(truth[a:b].mean()) for a, b in find_ranges(is_alarm)]
    p, r = float(np.mean(precision)) if precision else 0.0, float(np.mean(recall)) if recall else 0.0
    return {"range_precision": p, "range_recall": r, "range_f1": 2 * p * r / (p + r) if p + r else 0.0}


def find_ranges(is_set: np.ndarray) -> list[tuple[int, int]]:
    """Return begin and end of each run of True values.

    >>> find_ranges(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_set.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
