"""Plans of batches with similar numbers of tokens: every pair once, few filling rows."""

import math
from collections.abc import Sequence

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.translation.buckets import compute_needed_shapes, find_buckets

# Twice the replicas, for two lanes each, divide it for 1, 2, 4 and 8: all of these are fed the same batches.
_ROWS_MULTIPLE = 16


def rows_per_batch(shapes: Sequence[tuple[int, int]], tokens_per_batch: int, replicas: int = 1) -> np.ndarray:
    """Return the rows that fill `tokens_per_batch` on the longer side: int64, multiples of 16 and 2 * `replicas`.

    Raises:
        UserError: `replicas` is below 1, or `tokens_per_batch` is too small for the largest shape.
    """
    if replicas < 1:
        raise UserError(f"`replicas` must be 1 or more; got {replicas}")
    multiple = math.lcm(_ROWS_MULTIPLE, 2 * replicas)
    longest = np.max(shapes, axis=1)
    if tokens_per_batch < multiple * longest.max():
        raise UserError(
            f"`tokens_per_batch` must be {multiple * longest.max()} or more, for {multiple} rows of the longest, "
            f"{longest.max()} tokens; got {tokens_per_batch}. Raise it, or leave out longer sentences"
        )
    return tokens_per_batch // longest // multiple * multiple


def plan_pairs(
    buckets: np.ndarray,
    boundaries: Sequence[tuple[int, int]],
    batch_sizes: np.ndarray,
    rng: np.random.Generator | None = None,
) -> list[tuple[int, np.ndarray]]:
    """Assign the pairs to batches, each pair once.

    What is left over in a bucket moves on to the next one, which holds it too, where that feeds less than filling up.

    Args:
        buckets: int (pairs,), from `find_buckets`.
        boundaries, batch_sizes: the buckets' shapes, and the rows of their batches.
        rng: shuffles the pairs within their buckets, and then the batches; None: buckets in order, and pairs in them.

    Returns:
        For each batch its bucket and int64 (rows,), indices of pairs.
    """
    plan, left_over = [], np.array([], np.int64)
    moves = _plan_moves(np.bincount(buckets, minlength=len(batch_sizes)), np.sum(boundaries, axis=1), batch_sizes)
    for bucket, (size, move) in enumerate(zip(batch_sizes.tolist(), moves, strict=True)):
        members = np.append(left_over, np.flatnonzero(buckets == bucket))
        if rng is not None:
            rng.shuffle(members)
        members, left_over = np.split(members, [len(members) - move])
        plan += [(bucket, members[start : start + size]) for start in range(0, len(members), size)]
    if rng is not None:
        plan = [plan[index] for index in rng.permutation(len(plan))]
    return plan


def _plan_moves(counts: np.ndarray, lengths: np.ndarray, batch_sizes: np.ndarray) -> list[int]:
    """Return the number of pairs that move to the next bucket; independent of order, so equal in all epochs.

    Args:
        counts: (buckets,), pairs.
        lengths: (buckets,), positions of a row, of both sides.
        batch_sizes: (buckets,), rows of a batch.
    """
    moves, moved = [], 0
    for count, length, longer, size in zip(counts, lengths, np.append(lengths[1:], 0), batch_sizes, strict=True):
        over = int((count + moved) % size)
        moved = over if longer and over * (longer - length) < (size - over) * length else 0
        moves.append(moved)
    return moves


def translation_padding_fraction(
    source_lengths: Sequence[int] | np.ndarray,
    target_lengths: Sequence[int] | np.ndarray,
    boundaries: Sequence[tuple[int, int]],
    tokens_per_batch: int,
    replicas: int = 1,
) -> float:
    """Return the fraction of positions of both sides without a token of a pair, including filling rows."""
    rows = rows_per_batch(boundaries, tokens_per_batch, replicas)
    plan = plan_pairs(find_buckets(source_lengths, target_lengths, boundaries), boundaries, rows)
    fed = sum(int(rows[bucket]) * sum(boundaries[bucket]) for bucket, _ in plan)
    return 1.0 - int(compute_needed_shapes(source_lengths, target_lengths).sum()) / fed
