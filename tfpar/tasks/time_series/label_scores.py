"""Scores of classifiers and regressors of series; NumPy only."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.tasks.scores import score_classes
from tfpar.tasks.time_series.labeled import CLASSES, MULTI_LABEL

_BINS = 10


def score_labels(kind: str, targets: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Score predictions.

    Args:
        kind: see `tfpar.tasks.time_series.labeled`.
        targets: as in `LabeledSeries`.
        predictions: probabilities (series, classes), or numbers (series, 1).
        class_names: by class.

    Returns:
        {"metrics"}; of classes also "classes" and "confusion_matrix", see `score_classes`.
    """
    if kind == CLASSES:
        return _score_classes(targets, predictions, class_names)
    if kind == MULTI_LABEL:
        predicted = predictions >= 0.5
        truth = targets >= 0.5
        hits, total = (predicted & truth).sum(), predicted.sum() + truth.sum()
        metrics = {
            "accuracy": float((predicted == truth).mean()),
            "exact_match": float((predicted == truth).all(axis=1).mean()),
            "micro_f1": float(2 * hits / total) if total else 1.0,
        }
        return {"metrics": metrics}
    errors = predictions.astype(np.float64) - targets
    variance = float(np.var(targets, dtype=np.float64))
    metrics = {"mae": float(np.abs(errors).mean()), "rmse": float(np.sqrt(np.square(errors).mean()))}
    if variance:
        metrics["r2"] = 1 - float(np.square(errors).mean()) / variance
    return {"metrics": metrics}


def _score_classes(targets, predictions, class_names):
    names = np.array(class_names, object)
    scores = score_classes(list(names[targets]), list(names[predictions.argmax(axis=-1)]), class_names)
    likelihoods = predictions[np.arange(len(targets)), targets]
    scores["metrics"]["loss"] = float(-np.log(np.maximum(likelihoods, 1e-12)).mean())
    scores["metrics"]["calibration_error"] = calibration_error(predictions, targets)
    return scores


def calibration_error(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Compute the expected calibration error over ten bins of confidence (Guo et al. 2017, eq. 5).

    Args:
        probabilities: (examples, classes).
        targets: int (examples,).

    >>> round(calibration_error(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1])), 6)
    0.25
    """
    confidence, is_right = probabilities.max(axis=-1), probabilities.argmax(axis=-1) == targets
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [abs(float((confidence[bins == b] - is_right[bins == b]).sum())) for b in np.unique(bins)]
    return sum(gaps) / len(targets)
