"""Philox4x32-10 against the test vectors of its authors' library Random123, and its normal numbers."""

import numpy as np
import pytest
import tensorflow as tf

from tfpar.ops.philox import normal, philox

VECTORS = [
    ("00000000 00000000 00000000 00000000", 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", 0x299F31D0A4093822, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize("counter, key, expected", VECTORS)
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_known_vectors(counter, key, expected, jit_compile):
    words = [tf.constant([int(word, 16)], tf.uint32) for word in counter.split()]
    found = tf.function(lambda *words: philox(words, key), jit_compile=jit_compile)(*words)
    assert " ".join(f"{int(word.numpy()[0]):08x}" for word in found) == expected


def test_normal_numbers():
    draw = tf.function(lambda step: normal((101, 100), 5, step, 1))
    first, second = (draw(tf.constant(step, tf.int64)).numpy().ravel() for step in (0, 1))
    for numbers in (first, second):
        assert abs(numbers.mean()) < 0.04 and numbers.std() == pytest.approx(1, abs=0.03)
        assert np.mean(np.abs(numbers) < 1) == pytest.approx(0.6827, abs=0.02) and np.abs(numbers).max() > 3
    others = [second, normal((101, 100), 6, tf.constant(0), 1), normal((101, 100), 5, tf.constant(0), 2)]
    for other in others:
        assert abs(np.corrcoef(first, np.ravel(other))[0, 1]) < 0.04
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.04
