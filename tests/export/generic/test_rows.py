"""Arrays become rows of a signature's input, or are refused with what was expected."""

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.export.generic.rows import InputRows

SEQUENCE = InputRows("x", (1, 4, 2), np.dtype("float32"))
TOKENS = InputRows("tokens", (1, 4), np.dtype("int32"))
FEATURES = InputRows("features", (1, 4), np.dtype("float32"))
IMAGE = InputRows("image", (1, 4, 4, 1), np.dtype("float32"))
OPEN = InputRows("open", (1, -1, 2), np.dtype("float32"))
SCALAR = InputRows("scalar", (1,), np.dtype("float32"))


@pytest.mark.parametrize("rows", [SEQUENCE, TOKENS, FEATURES, IMAGE, SCALAR])
def test_a_row_or_rows(rows):
    one = np.ones(rows.shape[1:], rows.dtype)
    assert rows.fit(one).shape == rows.shape
    assert rows.fit(np.stack([one] * 3)).shape == (3, *rows.shape[1:])


def test_short_sequences_are_padded_at_the_right():
    np.testing.assert_array_equal(TOKENS.fit(np.array([5, 6])), [[5, 6, 0, 0]])
    found = SEQUENCE.fit(np.ones((2, 1, 2)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[1], [[1, 1], [0, 0], [0, 0], [0, 0]])


@pytest.mark.parametrize("length", [1, 9])
def test_an_open_length_is_left_as_it_is(length):
    assert OPEN.fit(np.ones((3, length, 2))).shape == (3, length, 2)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_integers_that_fit(dtype):
    assert TOKENS.fit(np.ones((1, 4), dtype)).dtype == np.int32
    assert SEQUENCE.fit(np.ones((1, 4, 2), dtype)).dtype == np.float32


REFUSED = [
    (SEQUENCE, np.ones((1, 5, 2)), "one row of sizes .4, 2., the first of which may be smaller.*got 5 time steps"),
    (SEQUENCE, np.ones((1, 4, 3)), "got the shape .1, 4, 3."),
    (SEQUENCE, np.ones(4), "got the shape .4,."),
    (SEQUENCE, np.ones((1, 1, 4, 2)), "got the shape"),
    (SEQUENCE, np.ones((0, 4, 2)), "got the shape .0, 4, 2."),
    (SEQUENCE, np.ones((3, 0, 2)), "got the shape"),
    (SEQUENCE, np.full((1, 4, 2), np.nan), "finite float32.*values that it cannot represent"),
    (SEQUENCE, np.full((1, 4, 2), 1e300), "values that it cannot represent"),
    (SEQUENCE, np.ones((1, 4, 2), complex), "got complex128"),
    (TOKENS, np.ones((1, 4)), "'tokens' takes finite int32.*got float64"),
    (TOKENS, np.full((1, 4), 2**40), "values that it cannot represent"),
    (TOKENS, np.full((1, 4), "a"), "got <U1"),
    (FEATURES, np.ones(3), "sizes .4., or several rows"),
    (IMAGE, np.ones((3, 4, 1)), "sizes .4, 4, 1., or several rows"),
    (OPEN, np.ones((3, 1)), "sizes .any, 2."),
]


@pytest.mark.parametrize("rows, array, words", REFUSED)
def test_rows_that_do_not_fit(rows, array, words):
    with pytest.raises(UserError, match=words):
        rows.fit(array)
