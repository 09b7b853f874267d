"""Error rates of face verification; NumPy only."""

import numpy as np


def pair_cosines(embeddings: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosines of all pairs of pictures.

    Args:
        embeddings: float (pictures, size), each of length 1.
        labels: int (pictures,), who is shown.

    Returns:
        float (genuine pairs,), of one person, and float (impostor pairs,), of two.
    """
    first, second = np.triu_indices(len(labels), k=1)
    cosines = np.sum(embeddings[first].astype(np.float64) * embeddings[second], axis=-1)
    same = labels[first] == labels[second]
    return cosines[same], cosines[~same]


def error_rates(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rates of both errors at each relevant threshold.

    Returns:
        Thresholds, ascending; the share of genuine pairs below each (falsely rejected); the share of impostor pairs at
        or above it (falsely accepted).
    """
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    rejected = np.searchsorted(np.sort(genuine), thresholds, side="left") / len(genuine)
    accepted = 1 - np.searchsorted(np.sort(impostor), thresholds, side="left") / len(impostor)
    return thresholds, rejected, accepted


def equal_error_rate(genuine: np.ndarray, impostor: np.ndarray) -> tuple[float, float]:
    """Return the equal error rate and its threshold.

    Returns:
        The equal error rate, the mean of both rates where they are closest, and the threshold there.

    Raises:
        ValueError: there is no genuine or no impostor pair.

    >>> equal_error_rate(np.array([0.9, 0.8, 0.3]), np.array([0.1, 0.2, 0.7]))
    (0.333..., 0.7)
    """
    if not len(genuine) or not len(impostor):
        raise ValueError(f"expected pairs of one person and of two; got {len(genuine)} and {len(impostor)}")
    thresholds, rejected, accepted = error_rates(genuine, impostor)
    index = int(np.argmin(np.abs(rejected - accepted)))
    return float((rejected[index] + accepted[index]) / 2), float(thresholds[index])
