"""Temperature scaling: probabilities that match the frequency of correct predictions."""

import numpy as np

LEAST_EXAMPLES = 20  # of the validation split
_RANGE = (-3.0, 3.0)  # of the temperature's logarithm
_STEPS = 60


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Find the temperature T for which softmax(logits / T) has the smallest cross-entropy, by golden-section search.

    Args:
        logits: float (examples, classes), of examples that were not trained on.
        targets: int (examples,).

    References:
        Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599.

    >>> overconfident = np.array([[4.0, 0.0]] * 4)
    >>> round(fit_temperature(overconfident, np.array([0, 0, 0, 1])), 2)
    3.64
    """

    def loss(log_temperature):
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        likelihoods = scaled[np.arange(len(targets)), targets] - np.log(np.exp(scaled).sum(axis=1))
        return -likelihoods.mean()

    low, high = _RANGE
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
