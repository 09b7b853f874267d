"""Sums over all elements of a tensor that XLA:CPU adds up as fast as memory gives them."""

import tensorflow as tf

_TERMS = 32  # XLA takes a longer sum apart into windows, one element after another.


def sum_of_squares(tensor: tf.Tensor) -> tf.Tensor:
    """The sum of the squares of a tensor of static shape, a scalar of its type.

    Each round adds 32 rows, as long as the tensor gives them, to one: elements are summed side by side, and rounding
    errors grow with the number of rounds, not of elements.
    """
    terms = tf.square(tf.reshape(tensor, [-1]))
    while terms.shape[0] > _TERMS:
        whole = terms.shape[0] // _TERMS * _TERMS
        sums = tf.reduce_sum(tf.reshape(terms[:whole], [_TERMS, -1]), axis=0)
        terms = sums if whole == terms.shape[0] else tf.concat([sums, terms[whole:]], axis=0)
    return tf.reduce_sum(terms)
