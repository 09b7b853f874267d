"""Batches of pairs, of a few shapes and of about equally many tokens, for teacher forcing."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.data.batching.bucketing import FILLING_TOKEN, make_row_table
from tfpar.data.batching.ragged import Ragged
from tfpar.data.batching.stream import as_dataset
from tfpar.data.trained_tokenizer import BEGIN_ID, END_ID
from tfpar.tasks.translation.buckets import find_buckets
from tfpar.tasks.translation.epoch_plan import plan_pairs, rows_per_batch


def translation_batches(
    sources: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    *,
    tokens_per_batch: int,
    boundaries: Sequence[tuple[int, int]],
    shuffle: bool,
    seed: int = 0,
    replicas: int = 1,
    first_epoch: int = 0,
) -> Any:
    """Feed each pair once an epoch, as a tf.data.Dataset of known cardinality.

    A batch of shape (s, t) has as many rows as fill `tokens_per_batch` with max(s, t) tokens each, rounded down to a
    multiple of 16, and of 2 * `replicas`: each replica gets equally many, in two lanes. What is left over in a shape
    moves on to the next one or is filled up with rows of weight 0, whichever feeds less. Batches are the same ones for
    1, 2, 4 and 8 replicas.

    Each new iterator over the dataset is the next epoch; its order depends on `seed` and its number alone. Every worker
    of a cluster gets the same batches (auto-sharding is off).

    Args:
        sources, targets: token ids, one (length,) of any integer type each, length 1 or more, without [BOS] and [EOS].
        tokens_per_batch: over all replicas.
        boundaries: as `translation_boundaries` returns them.
        shuffle: assign pairs to batches anew, and order the batches anew, in each epoch.
        seed: of the order; 0 or more.
        replicas: how many share a batch.
        first_epoch: number of the first iterator's epoch, to go on with after a restart.

    Returns:
        Dataset of ((source int32 (rows, s), target_in int32 (rows, t)), target_out int32 (rows, t), weights float32
        (rows, t)): target_in is [BOS] and the target, target_out the target and [EOS], weights are 1 there and 0 at
        padding.

    Raises:
        UserError: `tokens_per_batch` is too small for the largest shape, or `replicas` is below 1.
        ValueError: an empty sequence, not as many sources as targets, or boundaries that do not fit.
    """
    buckets = find_buckets([len(ids) for ids in sources], [len(ids) for ids in targets], boundaries)
    batch_sizes = rows_per_batch(boundaries, tokens_per_batch, replicas)
    batches, widest = len(plan_pairs(buckets, boundaries, batch_sizes)), int(batch_sizes.max())
    epochs = iter(range(first_epoch, np.iinfo(np.int64).max))

    def next_plan():
        rng = np.random.default_rng([seed, next(epochs)]) if shuffle else None
        plan = plan_pairs(buckets, boundaries, batch_sizes, rng)
        return np.array([bucket for bucket, _ in plan], np.int32), make_row_table(plan, widest)

    return as_dataset(next_plan, _batch_maker(sources, targets, boundaries, batch_sizes.tolist()), batches, widest)


def _batch_maker(sources, targets, boundaries, batch_sizes):
    """Make a function from a bucket and rows to a batch."""
    import tensorflow as tf

    # One pair more, for filling rows: a source of one token (an all-padding row makes masked layers divide by zero).
    filling = len(sources)
    source_side = Ragged([*sources, [FILLING_TOKEN]])
    target_side = Ragged([np.concatenate([[BEGIN_ID], ids, [END_ID]]) for ids in [*targets, []]])
    shapes = tf.constant([(*shape, rows) for shape, rows in zip(boundaries, batch_sizes, strict=True)], tf.int32)
    known = (batch_sizes[0], *boundaries[0]) if len(boundaries) == 1 else (None, None, None)

    def make(bucket, rows):
        source_length, target_length, size = tf.unstack(shapes[bucket])
        rows = tf.cast(rows[:size], tf.int32)
        is_pair = rows >= 0
        pairs = tf.where(is_pair, rows, filling)
        source, _ = source_side.gather(pairs, source_length)
        target, is_token = target_side.gather(pairs, target_length + 1)
        has_next = is_token[:, 1:]
        target_in, target_out = tf.where(has_next, target[:, :-1], 0), target[:, 1:]
        weights = tf.cast(has_next & is_pair[:, None], tf.float32)
        tensors = (tf.ensure_shape(tensor, known[::2]) for tensor in (target_in, target_out, weights))
        target_in, target_out, weights = tensors
        return (tf.ensure_shape(source, known[:2]), target_in), target_out, weights

    return make
