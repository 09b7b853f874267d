"""Connectionist temporal classification: the likelihood of a string whose alignment is unknown."""

import tensorflow as tf

# Finite, so that no gradient is the difference of two infinities.
_IMPOSSIBLE = -1e5


def ctc_loss(log_probabilities: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Compute -log of the probability of a string, summed over all its alignments.

    With blanks around and between the symbols of a string, z = (0, l[1], 0, l[2], ... 0), and p[t] the probabilities at
    step t, the probability of all paths to z[s] by step t is

        a[t, s] = (a[t-1, s] + a[t-1, s-1] + a[t-1, s-2] if z[s] is neither 0 nor z[s-2]) * p[t, z[s]]

    Args:
        log_probabilities: float (batch, steps, classes); class 0 is the blank.
        labels: int (batch, symbols), from 1 on; 0 is padding after a string's end.

    Returns:
        float (batch,). A string that is too long for the steps has a loss of about 1e5.

    References:
        Graves et al. 2006, Connectionist Temporal Classification, equations 6 and 7.
    """
    extended = _insert_blanks(labels)
    one_hot = tf.one_hot(extended, log_probabilities.shape[-1], dtype=log_probabilities.dtype)
    emissions = tf.einsum("btc,bsc->tbs", log_probabilities, one_hot)
    can_skip = (extended != 0) & (extended != _shift(extended, 2, 0))

    def step(before, emission):
        skipped = tf.where(can_skip, _shift(before, 2, _IMPOSSIBLE), _IMPOSSIBLE)
        paths = tf.stack([before, _shift(before, 1, _IMPOSSIBLE), skipped])
        return tf.maximum(tf.reduce_logsumexp(paths, axis=0) + emission, _IMPOSSIBLE)

    impossible = tf.fill(tf.shape(emissions[0]), tf.cast(_IMPOSSIBLE, emissions.dtype))
    first = tf.where(tf.range(tf.shape(extended)[1]) < 2, emissions[0], impossible)
    last = tf.scan(step, emissions[1:], first)[-1]
    length = 2 * tf.reduce_sum(tf.cast(labels != 0, tf.int32), axis=1, keepdims=True)
    position = tf.range(tf.shape(extended)[1])
    is_end = (position == length) | (position == length - 1)
    return -tf.reduce_logsumexp(tf.where(is_end, last, impossible), axis=1)


def _insert_blanks(labels):
    """Return int (batch, 2 * symbols + 1)."""
    symbols = tf.stack([tf.zeros_like(labels), labels], axis=2)
    flat = tf.reshape(symbols, (-1, 2 * labels.shape[1]))
    return tf.pad(flat, [[0, 0], [0, 1]])


def _shift(values, offset, fill_value):
    """Shift (batch, positions) to the right."""
    return tf.pad(values[:, :-offset], [[0, 0], [offset, 0]], constant_values=tf.cast(fill_value, values.dtype))
