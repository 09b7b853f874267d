"""Scores of predictions; NumPy only."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.errors import MissingExtraError


def score_classes(truths: Sequence[str], predictions: Sequence[str], labels: Sequence[str]) -> dict:
    """Score predicted classes.

    Args:
        truths, predictions: labels of the examples.
        labels: of all classes.

    Returns:
        {"metrics": {"accuracy", "macro_f1" over the classes with examples}, "classes": [{"label", "examples",
        "predicted", "precision", "recall", "f1"}], "confusion_matrix": counts by true and predicted class}. None stands
        where a quotient has the denominator 0.

    >>> score_classes(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])["metrics"]
    {'accuracy': 0.666..., 'macro_f1': 0.666...}
    """
    index = {label: position for position, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, ([index[label] for label in truths], [index[label] for label in predictions]), 1)
    classes = []
    for label, hits, examples, predicted in zip(
        labels, counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0), strict=True
    ):
        classes.append(
            {
                "label": label,
                "examples": int(examples),
                "predicted": int(predicted),
                "precision": _quotient(hits, predicted),
                "recall": _quotient(hits, examples),
                "f1": _quotient(2 * hits, examples + predicted),
            }
        )
    f1 = [entry["f1"] for entry in classes if entry["examples"]]
    metrics = {"accuracy": float(counts.trace() / counts.sum()), "macro_f1": float(np.mean(f1))}
    return {"metrics": metrics, "classes": classes, "confusion_matrix": counts.tolist()}


def score_translations(translations: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Return {"bleu", "chrf"} by sacrebleu; raise MissingExtraError if it is not installed."""
    sacrebleu = import_sacrebleu()
    return {
        "bleu": float(sacrebleu.BLEU().corpus_score(list(translations), [list(references)]).score),
        "chrf": float(sacrebleu.CHRF().corpus_score(list(translations), [list(references)]).score),
    }


def import_sacrebleu() -> Any:
    """Import sacrebleu; raise MissingExtraError if it is not installed."""
    try:
        import sacrebleu
    except ImportError as error:
        raise MissingExtraError("sacrebleu", "recipes", "to score translations") from error
    return sacrebleu


def score_numbers(truths: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Score the numbers that a model outputs.

    Args:
        truths: (rows, ...) as `outputs`; or integers without the last axis: class indices.
        outputs: float (rows, ..., classes or features).

    Returns:
        {"mse", "mae"}, or {"accuracy"} of class indices.

    >>> score_numbers(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))
    {'mse': 2.0, 'mae': 1.0}
    """
    if truths.shape == outputs.shape[:-1] and truths.dtype.kind in "iu":
        return {"accuracy": float(np.mean(np.argmax(outputs, axis=-1) == truths))}
    errors = outputs.astype(np.float64) - truths
    return {"mse": float(np.mean(np.square(errors))), "mae": float(np.mean(np.abs(errors)))}


def _quotient(numerator, denominator):
    return float(numerator / denominator) if denominator else None
