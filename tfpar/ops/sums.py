"""Sums over all elements of a tensor, at memory bandwidth under XLA for CPUs."""

import tensorflow as tf

_TERMS = 32  # XLA splits a longer sum into windows, which it adds element by element.


def sum_of_squares(tensor: tf.Tensor) -> tf.Tensor:
    """Sum the squares of a tensor of static shape; returns a scalar of its dtype.

    Each round reduces 32 rows to one: the sum is vectorized, and rounding errors grow with the number of rounds, not of
    elements.
    """
    terms = tf.square(tf.reshape(tensor, [-1]))
    while terms.shape[0] > _TERMS:
        whole = terms.shape[0] // _TERMS * _TERMS
        sums = tf.reduce_sum(tf.reshape(terms[:whole], [_TERMS, -1]), axis=0)
        terms = sums if whole == terms.shape[0] else tf.concat([sums, terms[whole:]], axis=0)
    return tf.reduce_sum(terms)
