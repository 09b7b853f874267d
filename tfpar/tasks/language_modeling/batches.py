"""Windows of a text in batches."""

from typing import Any

import numpy as np

from tfpar.data.batching.bucketing import make_row_table
from tfpar.data.batching.stream import as_dataset
from tfpar.errors import UserError


def window_batches(
    tokens: np.ndarray,
    *,
    window: int,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    replicas: int = 1,
    first_epoch: int = 0,
) -> Any:
    """Feed neighboring windows of a text as a tf.data.Dataset of known cardinality.

    Every batch has `batch_size` rows; what fills them, after the last window and after the end of the text, has weight
    0. Each new iterator is the next epoch; its order depends on `seed` and its number alone.

    Args:
        tokens: int32 (characters,), more than one.
        window: characters of a window.
        batch_size: rows of a batch over all replicas.
        shuffle: order the windows anew in each epoch, and begin the first one at another character.
        seed: of the order; 0 or more.
        replicas: `batch_size` must be a multiple of it.
        first_epoch: number of the first iterator's epoch, to resume after a restart.

    Returns:
        Dataset of (tokens int32 (batch, window), next tokens int32 (batch, window), weights float32 (batch, window)).

    Raises:
        UserError: `batch_size` is not a multiple of `replicas`.
    """
    if batch_size % replicas:
        raise UserError(
            f"`batch_size` is over all replicas and must be a multiple of their number; got batch_size={batch_size}, "
            f"replicas={replicas}"
        )
    count = count_windows(len(tokens), window, shuffle)
    batches, slack = -(-count // batch_size), max(0, len(tokens) - 1 - count * window)
    epochs = iter(range(first_epoch, np.iinfo(np.int32).max))

    def next_plan():
        starts, epoch = np.arange(count) * window, next(epochs)
        if shuffle:
            generator = np.random.default_rng([seed, epoch])
            starts = generator.permutation(starts + generator.integers(slack + 1))
        plan = [(0, starts[begin : begin + batch_size]) for begin in range(0, count, batch_size)]
        return np.zeros(batches, np.int32), make_row_table(plan, batch_size)

    return as_dataset(next_plan, _batch_maker(tokens, window), batches, batch_size)


def count_windows(length: int, window: int, shuffle: bool) -> int:
    """Return the number of windows of an epoch: of a shuffled one, those that fit wherever the first one begins."""
    return max(1, (length - window) // window) if shuffle else -(-(length - 1) // window)


def _batch_maker(tokens, window):
    """Make a function from the first characters of windows to a batch."""
    import tensorflow as tf

    text = tf.constant(np.pad(tokens, (0, window + 1)), tf.int32)

    def make(_, starts):
        positions = tf.maximum(starts, 0)[:, None] + tf.range(window + 1, dtype=tf.int64)
        rows = tf.gather(text, positions)
        is_target = (positions[:, 1:] < len(tokens)) & (starts >= 0)[:, None]
        return rows[:, :-1], rows[:, 1:], tf.cast(is_target, tf.float32)

    return make
