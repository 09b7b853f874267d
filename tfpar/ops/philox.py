"""Philox4x32-10: random numbers that are functions of a key and a counter, equal with and without XLA.

TensorFlow's own Philox gives other numbers with XLA than without.

References:
    Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint32)  # the golden ratio and the root of 3, minus 1


def philox(counter: Sequence[tf.Tensor], key: int) -> list[tf.Tensor]:
    """Return four words of random bits for each counter.

    Args:
        counter: four uint32 tensors of one shape.
        key: from 0 to 2**64 - 1.

    Returns:
        Four uint32 tensors of that shape.
    """
    words = list(counter)
    keys = np.array([key & 0xFFFFFFFF, key >> 32], np.uint32)
    for _ in range(_ROUNDS):
        (high_0, low_0), (high_1, low_1) = (
            _multiply(multiplier, word) for multiplier, word in zip(_MULTIPLIERS, words[::2], strict=True)
        )
        words = [_xor(high_1, words[1], keys[0]), low_1, _xor(high_0, words[3], keys[1]), low_0]
        keys = keys + _WEYL
    return words


def normal(shape: Sequence[int], key: int, step: tf.Tensor, stream: int) -> tf.Tensor:
    """Draw numbers of the standard normal distribution by the transform of Box and Muller.

    Args:
        shape: static.
        key: see `philox`.
        step: int64 scalar from 0.
        stream: integer; numbers of other keys, steps or streams are independent.

    Returns:
        float32 of `shape`. None exceeds 5.9, since uniform numbers have 24 bits.
    """
    size = int(np.prod(shape))
    index = tf.range((size + 3) // 4)
    low, high = _split(tf.cast(step, tf.uint64))
    fixed = [tf.fill(tf.shape(index), word) for word in (tf.constant(stream, tf.uint32), low, high)]
    first, second, third, fourth = (_to_uniform(word) for word in philox([tf.cast(index, tf.uint32), *fixed], key))
    numbers = [*_box_muller(first, second), *_box_muller(third, fourth)]
    return tf.reshape(tf.concat(numbers, axis=0)[:size], shape)


def _box_muller(first, second):
    radius, angle = tf.sqrt(-2 * tf.math.log(first)), np.float32(2 * np.pi) * second
    return radius * tf.cos(angle), radius * tf.sin(angle)


def _to_uniform(word):
    """Return float32 numbers in (0, 1), of 24 bits."""
    return (tf.cast(tf.bitwise.right_shift(word, tf.constant(8, tf.uint32)), tf.float32) + 0.5) * np.float32(2**-24)


def _multiply(multiplier, word):
    low, high = _split(tf.cast(word, tf.uint64) * tf.constant(multiplier, tf.uint64))
    return high, low


def _split(number):
    """Return the low and the high word of uint64 numbers."""
    high = tf.bitwise.right_shift(number, tf.constant(32, tf.uint64))
    low = tf.bitwise.bitwise_and(number, tf.constant(0xFFFFFFFF, tf.uint64))
    return tf.cast(low, tf.uint32), tf.cast(high, tf.uint32)


def _xor(first, second, third):
    return tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(first, second), tf.constant(third, tf.uint32))
