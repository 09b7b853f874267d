"""Sequences in batches of a few shapes, for inference."""

from collections.abc import Iterator, Sequence

import numpy as np

_STEP = 8


def padded_batches(sequences: Sequence[np.ndarray], batch_size: int) -> Iterator[tuple[list[int], np.ndarray]]:
    """Iterate over sequences by length.

    Args:
        sequences: token ids, one (length,) each.
        batch_size: rows of every batch.

    Yields:
        Places of sequences, and int32 (batch_size, time) padded by zeros, time being a multiple of 8; if too few are
        left, the first of them comes again.
    """
    order = sorted(range(len(sequences)), key=lambda row_index: len(sequences[row_index]))
    for first in range(0, len(order), batch_size):
        indices = order[first : first + batch_size]
        longest = max(len(sequences[row_index]) for row_index in indices)
        padded = np.zeros((batch_size, -(-longest // _STEP) * _STEP), np.int32)
        for row in range(batch_size):
            ids = sequences[indices[row] if row < len(indices) else indices[0]]
            padded[row, : len(ids)] = ids
        yield indices, padded
