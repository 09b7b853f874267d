"""Batches of sequences whose shapes come from a short fixed list, so that XLA compiles once per shape and no more.

Each example goes to the bucket of the smallest boundary that holds it and is padded to that boundary; the last batch of
a bucket is filled up with rows of weight 0. All planning is NumPy; tf.data only carries the batches to the device.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.data.batching.ragged import Ragged
from tfpar.data.batching.stream import as_dataset
from tfpar.errors import UserError

FILLING_TOKEN = 1  # a filling row has one real token: an all-padding row makes masked layers divide by zero


def bucket_boundaries(
    lengths: Sequence[int] | np.ndarray, max_buckets: int = 6, multiple: int = 4, batch_size: int = 1
) -> tuple[int, ...]:
    """Return the boundaries with which the fewest positions are fed.

    With u[1] < ... < u[m] the lengths rounded up to `multiple` and n(i, j) the examples in u[i+1] ... u[j]:

        total[k, j] = min over i < j of total[k-1, i] + ceil(n(i, j) / batch_size) * batch_size * u[j]

    Args:
        lengths: (examples,), each 1 or more.
        max_buckets: at most so many boundaries.
        multiple: every boundary is a multiple of it.
        batch_size: 1 counts padding within rows alone; the batch size counts the filling rows too.

    Returns:
        Ascending; the last one covers the longest sequence.

    Raises:
        ValueError: no lengths, or an argument below 1.
    """
    checked = check_lengths(lengths)
    for name, value in (("max_buckets", max_buckets), ("multiple", multiple), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be 1 or more; got {value}")
    rounded, counts = np.unique(-(-checked // multiple) * multiple, return_counts=True)
    seen = np.concatenate([[0], np.cumsum(counts)])  # examples in the first j rounded lengths
    sizes = len(rounded)
    total = np.concatenate([[0], np.full(sizes, np.iinfo(np.int64).max // 2)])
    choices = []
    for _ in range(min(max_buckets, sizes)):
        following, choice = total.copy(), np.full(sizes + 1, -1)
        for j in range(1, sizes + 1):
            costs = total[:j] + -(-(seen[j] - seen[:j]) // batch_size) * batch_size * rounded[j - 1]
            best = int(np.argmin(costs))
            if costs[best] < total[j]:  # else one bucket fewer is as good
                following[j], choice[j] = costs[best], best
        total = following
        choices.append(choice)
    return _trace_back(choices, rounded)


def _trace_back(choices: list[np.ndarray], rounded: np.ndarray) -> tuple[int, ...]:
    """Trace the boundaries back through the table of choices."""
    boundaries, j = [], len(rounded)
    for choice in reversed(choices):
        if j and choice[j] >= 0:
            boundaries.append(int(rounded[j - 1]))
            j = int(choice[j])
    return tuple(reversed(boundaries))


def plan_epoch(
    lengths: Sequence[int] | np.ndarray,
    boundaries: Sequence[int],
    batch_size: int,
    rng: np.random.Generator | None = None,
) -> list[tuple[int, np.ndarray]]:
    """Assign the examples to batches, each example once.

    Args:
        lengths: (examples,), each 1 or more.
        boundaries: ascending; the last one covers the longest.
        batch_size: rows per batch; the last batch of a bucket may have fewer.
        rng: shuffles the examples within their buckets, and then the batches; None: buckets in order, examples in
            input order.

    Returns:
        For each batch its boundary and int64 (rows,), indices of examples.

    Raises:
        ValueError: the boundaries do not ascend or do not cover the lengths, or `batch_size` is below 1.
    """
    bucket_of = _bucket_of(lengths, boundaries, batch_size)
    plan = []
    for bucket, boundary in enumerate(boundaries):
        members = np.flatnonzero(bucket_of == bucket)
        if rng is not None:
            rng.shuffle(members)
        plan += [(int(boundary), members[start : start + batch_size]) for start in range(0, len(members), batch_size)]
    if rng is not None:
        plan = [plan[index] for index in rng.permutation(len(plan))]
    return plan


def input_order(lengths: Sequence[int] | np.ndarray, boundaries: Sequence[int], batch_size: int) -> np.ndarray:
    """Return the index of the example in each row of the unshuffled batches.

    Put predictions back by: `order = input_order(...); rows = order >= 0; result[order[rows]] = predictions[rows]`.

    Returns:
        int64 (batches * batch_size,); -1 for filling rows.
    """
    return make_row_table(plan_epoch(lengths, boundaries, batch_size), batch_size).reshape(-1)


def make_row_table(plan: list[tuple[int, np.ndarray]], batch_size: int) -> np.ndarray:
    """Return the examples of each batch, int64 (batches, batch_size); -1 for filling rows."""
    rows = np.full((len(plan), batch_size), -1, np.int64)
    for row, (_, indices) in zip(rows, plan, strict=True):
        row[: len(indices)] = indices
    return rows


def padding_fraction(lengths: Sequence[int] | np.ndarray, boundaries: Sequence[int], batch_size: int) -> float:
    """Return the fraction of positions without a token of an example, including filling rows."""
    bucket_of = _bucket_of(lengths, boundaries, batch_size)
    batches = -(-np.bincount(bucket_of, minlength=len(boundaries)) // batch_size)
    return 1.0 - float(np.sum(lengths)) / float(np.sum(batches * np.asarray(boundaries)) * batch_size)


def bucketed_batches(
    sequences: Sequence[np.ndarray],
    labels: Sequence[int] | np.ndarray,
    *,
    batch_size: int,
    boundaries: Sequence[int],
    shuffle: bool,
    seed: int = 0,
    num_classes: int | None = None,
    replicas: int = 1,
    first_epoch: int = 0,
) -> Any:
    """Feed the batches of `plan_epoch` as a tf.data.Dataset of known cardinality.

    Every batch has `batch_size` rows. Filling rows hold one [UNK], label 0 and weight 0: a weighted loss or metric
    sees each example exactly once an epoch. Each new iterator over the dataset is the next epoch; its order depends on
    `seed` and its number alone. Every worker of a cluster gets the same batches (auto-sharding is off): take rows apart
    per worker where that is wanted.

    Args:
        sequences: token ids, one (length,) of any integer type each, length 1 or more.
        labels: (examples,), class ids.
        batch_size: rows per batch over all replicas.
        boundaries: as `bucket_boundaries` returns them.
        shuffle: assign examples to batches anew, and order the batches anew, in each epoch.
        seed: of the order; 0 or more.
        num_classes: if given, labels must lie below it.
        replicas: `batch_size` must be a multiple of it.
        first_epoch: number of the first iterator's epoch, to go on with after a restart.

    Returns:
        Dataset of (ids int32 (batch, boundary), labels int32 (batch,), weights float32 (batch,)).

    Raises:
        UserError: `batch_size` is not a multiple of `replicas`, or not positive.
        ValueError: an empty sequence, boundaries that do not fit, or labels that do not fit.
    """
    if replicas < 1 or batch_size < 1 or batch_size % replicas:
        raise UserError(
            f"`batch_size` is over all replicas and must be a positive multiple of their number; got "
            f"batch_size={batch_size}, replicas={replicas}"
        )
    lengths = check_lengths([len(sequence) for sequence in sequences])
    classes = _check_labels(labels, len(lengths), num_classes)
    batches = len(plan_epoch(lengths, boundaries, batch_size))
    epochs = iter(range(first_epoch, np.iinfo(np.int64).max))

    def next_plan():
        rng = np.random.default_rng([seed, next(epochs)]) if shuffle else None
        plan = plan_epoch(lengths, boundaries, batch_size, rng)
        return np.array([boundary for boundary, _ in plan], np.int32), make_row_table(plan, batch_size)

    time = boundaries[0] if len(boundaries) == 1 else None
    return as_dataset(next_plan, _batch_maker(sequences, classes, (batch_size, time)), batches, batch_size)


def _batch_maker(sequences: Sequence[np.ndarray], labels: np.ndarray, shape: tuple):
    """Make a function from a boundary and rows to ids, labels and weights; `shape` is the static shape of the ids."""
    import tensorflow as tf

    # One example more, for filling rows.
    filling = len(sequences)
    tokens, classes = Ragged([*sequences, [FILLING_TOKEN]]), tf.constant(np.append(labels, 0), tf.int32)

    def make(boundary, rows):
        examples = tf.where(rows < 0, filling, tf.cast(rows, tf.int32))
        ids, _ = tokens.gather(examples, boundary)
        return tf.ensure_shape(ids, shape), tf.gather(classes, examples), tf.cast(rows >= 0, tf.float32)

    return make


def check_lengths(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the lengths as int64 (sequences,); raise ValueError if there is none, or one below 1."""
    array = np.asarray(lengths, np.int64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"`lengths` must be a list of one length per sequence; got shape {array.shape}")
    if array.min() < 1:
        raise ValueError(f"every sequence needs at least one token; sequence {int(array.argmin())} has none")
    return array


def _check_labels(labels: Sequence[int] | np.ndarray, examples: int, num_classes: int | None) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (examples,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"`labels` must hold one whole number per sequence, {examples}; got {array.dtype} {array.shape}"
        )
    if num_classes is not None and not (0 <= array.min() and array.max() < num_classes):
        raise ValueError(f"`labels` must lie in 0 ... {num_classes - 1}; got {array.min()} ... {array.max()}")
    return array.astype(np.int32)


def _bucket_of(lengths: Sequence[int] | np.ndarray, boundaries: Sequence[int], batch_size: int) -> np.ndarray:
    """Return the bucket of each example: the first boundary that is not below its length."""
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be 1 or more; got {batch_size}")
    checked, limits = check_lengths(lengths), np.asarray(boundaries, np.int64)
    if limits.ndim != 1 or limits.size == 0 or limits[0] < 1 or np.any(np.diff(limits) <= 0):
        raise ValueError(f"`boundaries` must be positive and ascend; got {boundaries}")
    if checked.max() > limits[-1]:
        raise ValueError(f"`boundaries` must cover the longest sequence, {checked.max()}; got {boundaries}")
    return np.searchsorted(limits, checked)
