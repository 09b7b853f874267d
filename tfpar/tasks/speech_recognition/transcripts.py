"""Transcripts of outputs and labels, and their errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.errors import MissingExtraError


def decode_transcript(probabilities: np.ndarray, names: Sequence[str]) -> str:
    """Return the most probable word, or string of symbols.

    Args:
        probabilities: float (classes,), of a word; or (steps, 1 + symbols), of a string by CTC: class 0 is the blank.
            Logits will do.
        names: by class, without the blank.

    Returns:
        The word, or the symbols with spaces between them.

    >>> decode_transcript(np.array([0.2, 0.8]), ["no", "yes"])
    'yes'
    >>> decode_transcript(np.eye(3)[[1, 1, 0, 1, 2]], ["no", "yes"])
    'no no yes'
    """
    best = np.argmax(probabilities, axis=-1)
    if best.ndim == 0:
        return names[int(best)]
    is_new = np.diff(best, prepend=0) != 0
    return " ".join(names[index - 1] for index in best[is_new & (best > 0)])


def spell_labels(labels: np.ndarray, names: Sequence[str]) -> list[str]:
    """Spell labels as `decode_transcript` spells outputs.

    Args:
        labels: int (examples,) of words; or (examples, symbols) of strings, -1 behind their end.
        names: by class.
    """
    if labels.ndim == 1:
        return [names[label] for label in labels]
    return [" ".join(names[symbol] for symbol in row if symbol >= 0) for row in labels]


def measure_string_errors(truths: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Return the word error rate, and the fraction of strings without an error.

    Args:
        truths, predictions: strings of words.

    Returns:
        {"wer", "accuracy"}.

    Raises:
        MissingExtraError: jiwer is not installed.
    """
    right = [truth == output for truth, output in zip(truths, predictions, strict=True)]
    return {"wer": float(import_jiwer().wer(list(truths), list(predictions))), "accuracy": float(np.mean(right))}


def import_jiwer() -> Any:
    """Import jiwer; raise MissingExtraError if it is not installed."""
    try:
        import jiwer
    except ImportError as error:
        raise MissingExtraError("jiwer", "speech", "to count word errors") from error
    return jiwer
