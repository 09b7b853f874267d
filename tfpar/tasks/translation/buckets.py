"""Shapes for batches of pairs: the few (source length, target length) that XLA compiles for.

Shapes form a chain: each holds the one before. A pair goes to the first that holds both its sides.
"""

from collections.abc import Sequence

import numpy as np

from tfpar.data.batching.bucketing import check_lengths

_EXACT_TOKENS = 32
_NEVER = np.iinfo(np.int64).max // 2


def translation_boundaries(
    source_lengths: Sequence[int] | np.ndarray, target_lengths: Sequence[int] | np.ndarray, max_buckets: int = 12
) -> tuple[tuple[int, int], ...]:
    """Return the chain of shapes with the fewest padded positions.

    With n(c) the pairs that shape c = (s, t) holds:

        total[k, c] = min over b before c of total[k-1, b] + (n(c) - n(b)) * (s + t)

    Args:
        source_lengths, target_lengths: (pairs,), tokens without [BOS] and [EOS], each 1 or more. Above 32 they are
            rounded up, by an eighth at most.
        max_buckets: at most so many shapes.

    Returns:
        Ascending (source length, target length + 1): a target is fed behind [BOS] and compared up to [EOS].

    Raises:
        ValueError: no lengths, not as many on both sides, or `max_buckets` is below 1.
    """
    if max_buckets < 1:
        raise ValueError(f"`max_buckets` must be 1 or more; got {max_buckets}")
    shapes, held = _candidates(_round_up(compute_needed_shapes(source_lengths, target_lengths)))
    total = np.full((max_buckets + 1, len(shapes) + 1), _NEVER)
    total[0, 0] = 0
    before = np.zeros_like(total)
    for index, shape in enumerate(shapes, start=1):
        inside = np.flatnonzero(np.append(True, (shapes[: index - 1] <= shape).all(axis=1)))
        costs = total[:-1, inside] + (held[index] - held[inside]) * shape.sum()
        best = costs.argmin(axis=1)
        total[1:, index] = costs[np.arange(max_buckets), best]
        before[1:, index] = inside[best]
    return _trace_back(before, int(total[:, -1].argmin()), shapes)


def compute_needed_shapes(
    source_lengths: Sequence[int] | np.ndarray, target_lengths: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Return the shape that each pair needs: int64 (pairs, 2), source and target with one token more."""
    sources, targets = check_lengths(source_lengths), check_lengths(target_lengths)
    if len(sources) != len(targets):
        raise ValueError(f"expected as many sources as targets; got {len(sources)} and {len(targets)}")
    return np.stack([sources, targets + 1], axis=1)


def _round_up(lengths: np.ndarray) -> np.ndarray:
    """Round long lengths up to an eighth of the power of 2 below them, so that few differ."""
    steps = np.where(lengths > _EXACT_TOKENS, 2.0 ** (np.ceil(np.log2(lengths)) - 4), 1).astype(np.int64)
    return -(-lengths // steps) * steps


def _candidates(needed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shapes that some pairs fill, int64 (shapes, 2), and the number of pairs in each, after a 0."""
    sources, row = np.unique(needed[:, 0], return_inverse=True)
    targets, column = np.unique(needed[:, 1], return_inverse=True)
    held = np.zeros((len(sources) + 1, len(targets) + 1), np.int64)
    np.add.at(held, (row + 1, column + 1), 1)
    held = held.cumsum(axis=0).cumsum(axis=1)
    is_tight = (held[1:, 1:] > held[:-1, 1:]) & (held[1:, 1:] > held[1:, :-1])
    row, column = np.nonzero(is_tight)
    return np.stack([sources[row], targets[column]], axis=1), np.append(0, held[row + 1, column + 1])


def _trace_back(before: np.ndarray, buckets: int, shapes: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Trace the chain back through the table."""
    chain, index = [], before.shape[1] - 1
    for count in range(buckets, 0, -1):
        chain.append(tuple(shapes[index - 1].tolist()))
        index = before[count, index]
    return tuple(reversed(chain))


def find_buckets(
    source_lengths: Sequence[int] | np.ndarray,
    target_lengths: Sequence[int] | np.ndarray,
    boundaries: Sequence[tuple[int, int]],
) -> np.ndarray:
    """Return the bucket of each pair, int64 (pairs,): the first shape that holds it.

    Raises:
        ValueError: the lengths do not fit each other, or the boundaries are no chain that holds all pairs.
    """
    needed, limits = compute_needed_shapes(source_lengths, target_lengths), np.asarray(boundaries, np.int64)
    if limits.ndim != 2 or limits.shape[1:] != (2,) or limits.size == 0 or limits.min() < 1:
        raise ValueError(f"`boundaries` must be pairs of positive lengths; got {boundaries}")
    steps = np.diff(limits, axis=0)
    if (steps < 0).any() or (steps == 0).all(axis=1).any():
        raise ValueError(f"each of the `boundaries` must hold the one before and more; got {boundaries}")
    if (needed.max(axis=0) > limits[-1]).any():
        raise ValueError(f"`boundaries` must cover the longest sides, {tuple(needed.max(axis=0))}; got {boundaries}")
    # Both columns ascend, so the first shape that holds a pair is the first that holds its tighter side.
    return np.maximum(*(np.searchsorted(limits[:, side], needed[:, side]) for side in (0, 1)))
