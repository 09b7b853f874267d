"""Naive-Bayes log-odds of tokens, to initialize weights where examples are few."""

from collections import Counter
from collections.abc import Sequence

import numpy as np


def find_frequent_bigrams(sequences: Sequence[np.ndarray], min_frequency: int) -> np.ndarray:
    """Return the pairs of neighboring known tokens that occur `min_frequency` times: int (bigrams, 2), most frequent
    first."""
    counts: Counter[tuple[int, int]] = Counter()
    for sequence in sequences:
        counts.update(zip(sequence[:-1].tolist(), sequence[1:].tolist(), strict=True))
    known = [(pair, count) for pair, count in counts.items() if count >= min_frequency and min(pair) > 1]
    known.sort(key=lambda item: (-item[1], item[0]))
    return np.array([pair for pair, _ in known], np.int64).reshape(-1, 2)


def make_ngram_ids(sequences: Sequence[np.ndarray], bigrams: np.ndarray, vocabulary_size: int) -> list[np.ndarray]:
    """Append `vocabulary_size + i` to each sequence for each occurrence of `bigrams[i]`."""
    index = {pair: vocabulary_size + i for i, pair in enumerate(map(tuple, bigrams.tolist()))}
    found = []
    for sequence in sequences:
        pairs = zip(sequence[:-1].tolist(), sequence[1:].tolist(), strict=True)
        found.append(np.array([*sequence.tolist(), *(index[pair] for pair in pairs if pair in index)], np.int64))
    return found


def compute_log_odds(
    sequences: Sequence[np.ndarray], labels: Sequence[int], *, vocabulary_size: int, num_classes: int
) -> np.ndarray:
    """Return the log odds of each token between a class and the rest, with add-one smoothing.

        r[v, k] = log p(v | k) / p(v | not k),   p(v | k) = (1 + n[v, k]) / sum over v of (1 + n[v, k])

    n[v, k] counts the examples of class k that hold token v at all. With two classes one column says it all.

    Args:
        sequences: token ids of each example, int (length,). Ids 0 and 1, padding and unknown, score 0.
        labels: int (examples,).
        vocabulary_size: number of ids.
        num_classes: number of classes.

    Returns:
        float32 (vocabulary_size, num_classes), or (vocabulary_size, 1), of class 1, if there are two.

    References:
        Wang & Manning 2012, Baselines and Bigrams, section 2.1.
    """
    counts = np.ones((num_classes, vocabulary_size))
    for sequence, label in zip(sequences, labels, strict=True):
        counts[label, np.unique(sequence)] += 1
    inside = counts / counts.sum(axis=1, keepdims=True)
    rest = counts.sum(axis=0) - counts
    outside = rest / rest.sum(axis=1, keepdims=True)
    scores = np.log(inside / outside).T.astype(np.float32)
    scores[:2] = 0
    return scores[:, 1:] if num_classes == 2 else scores
