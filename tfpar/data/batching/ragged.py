"""`Ragged`: token sequences of many lengths, of which batches are gathered."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Ragged:
    """Sequences in one flat array, so that a batch is a single gather."""

    def __init__(self, sequences: Sequence[np.ndarray | Sequence[int]]):
        import tensorflow as tf

        lengths = np.array([len(sequence) for sequence in sequences])
        self._tokens = tf.constant(np.concatenate([np.asarray(sequence, np.int32) for sequence in sequences]))
        self._starts = tf.constant(np.cumsum(lengths) - lengths, tf.int32)
        self._lengths = tf.constant(lengths, tf.int32)
        self._last = int(lengths.sum()) - 1

    def gather(self, chosen: Any, length: Any) -> Any:
        """Return the chosen sequences, padded with 0: int32 (chosen, length), and bool, where tokens are."""
        import tensorflow as tf

        index = tf.range(length)
        is_token = index < tf.gather(self._lengths, chosen)[:, None]
        at = tf.minimum(tf.gather(self._starts, chosen)[:, None] + index, self._last)
        return tf.where(is_token, tf.gather(self._tokens, at), 0), is_token
