"""Connectionist temporal classification: strings without their alignment."""

import tensorflow as tf

# Finite, so that no gradient is the difference of two infinities.
_IMPOSSIBLE = -1e5


def ctc_loss(log_probabilities: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-log of the probability of a string, summed over all its alignments.

    With blanks around and between the symbols of a string, z = (0, l[1], 0, l[2], ... 0), and p[t] the probabilities at
    step t, the probability of all ways to z[s] by step t is

        a[t, s] = (a[t-1, s] + a[t-1, s-1] + a[t-1, s-2] if z[s] is neither 0 nor z[s-2]) * p[t, z[s]]

    Args:
        log_probabilities: float (batch, steps, classes); class 0 is the blank.
        labels: int (batch, symbols), from 1 on; 0 behind a string's end.

    Returns:
        float (batch,). A string that is too long for the steps has a loss of about 1e5.

    References:
        Graves et al. 2006, Connectionist Temporal Classification, equations 6 and 7.
    """
    places = _with_blanks(labels)
    one_hot = tf.one_hot(places, log_probabilities.shape[-1], dtype=log_probabilities.dtype)
    emitted = tf.einsum("btc,bsc->tbs", log_probabilities, one_hot)
    skips = (places != 0) & (places != _shifted(places, 2, 0))

    def step(before, emission):
        skipped = tf.where(skips, _shifted(before, 2, _IMPOSSIBLE), _IMPOSSIBLE)
        ways = tf.stack([before, _shifted(before, 1, _IMPOSSIBLE), skipped])
        return tf.maximum(tf.reduce_logsumexp(ways, axis=0) + emission, _IMPOSSIBLE)

    nowhere = tf.fill(tf.shape(emitted[0]), tf.cast(_IMPOSSIBLE, emitted.dtype))
    first = tf.where(tf.range(tf.shape(places)[1]) < 2, emitted[0], nowhere)
    last = tf.scan(step, emitted[1:], first)[-1]
    length = 2 * tf.reduce_sum(tf.cast(labels != 0, tf.int32), axis=1, keepdims=True)
    place = tf.range(tf.shape(places)[1])
    is_end = (place == length) | (place == length - 1)
    return -tf.reduce_logsumexp(tf.where(is_end, last, nowhere), axis=1)


def _with_blanks(labels):
    """int (batch, 2 * symbols + 1)."""
    symbols = tf.stack([tf.zeros_like(labels), labels], axis=2)
    flat = tf.reshape(symbols, (-1, 2 * labels.shape[1]))
    return tf.pad(flat, [[0, 0], [0, 1]])


def _shifted(values, by, filling):
    """(batch, places): moved to the right."""
    return tf.pad(values[:, :-by], [[0, 0], [by, 0]], constant_values=tf.cast(filling, values.dtype))
