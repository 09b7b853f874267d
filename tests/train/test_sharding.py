"""Which rows of a batch are whose, and whether all were handed the same batch."""

import numpy as np
import pytest
import tensorflow as tf

from tfpar.train.sharding import DIFFERENT_BATCHES, check_for_tpu, check_same_batch, part_of_rows

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    "rows, parts, sizes",
    [
        (6, 1, [6]),
        (6, 2, [3, 3]),
        (7, 2, [4, 3]),
        (9, 4, [3, 3, 3, 0]),
        (5, 4, [2, 2, 1, 0]),
        (1, 3, [1, 0, 0]),
        (0, 2, [0, 0]),
    ],
)
@pytest.mark.parametrize("part_is_known", [True, False])
@pytest.mark.parametrize("rows_are_known", [True, False])
def test_parts_are_consecutive_and_as_even_as_can_be(rows, parts, sizes, part_is_known, rows_are_known):
    x = np.arange(3 * rows).reshape(rows, 3)
    spec = tf.TensorSpec((rows if rows_are_known else None, 3), tf.int64)

    def cut(x, part):
        return part_of_rows((x, None, {"y": x[:, 0]}), part, parts)

    places, cuts = [], []
    for part in range(parts):
        given = part if part_is_known else tf.constant(part)
        function = tf.function(cut, autograph=False)
        signature = (spec, part) if part_is_known else (spec, tf.TensorSpec((), tf.int32))
        concrete = function.get_concrete_function(*signature)
        place, (mine, nothing, labels) = function(tf.constant(x), given)
        assert nothing is None and mine.shape[0] == labels["y"].shape[0]
        if rows_are_known and rows and rows % parts == 0:
            assert concrete.structured_outputs[1][0].shape == (rows // parts, 3), "XLA wants to know"
        places.append(int(place))
        cuts.append(mine.numpy())
    assert [len(mine) for mine in cuts] == sizes
    assert [place for place, size in zip(places, sizes, strict=True) if size] == [
        sum(sizes[:part]) for part, size in enumerate(sizes) if size
    ]
    np.testing.assert_array_equal(np.concatenate(cuts), x)


def summed(fingerprints):
    numbers = np.asarray(fingerprints, "float32")
    return [tf.constant(numbers.sum()), tf.constant((numbers**2).sum())]


@pytest.mark.parametrize("fingerprints", [[7], [0, 0], [255] * 3, [255] * 256])
def test_one_batch_passes(fingerprints):
    check_same_batch(summed(fingerprints), len(fingerprints))


@pytest.mark.parametrize("fingerprints", [[7, 8], [0, 255], [255] * 255 + [254], [0] * 255 + [1], [1, 2, 3, 2]])
def test_two_batches_do_not(fingerprints):
    with pytest.raises(tf.errors.InvalidArgumentError, match=DIFFERENT_BATCHES[:40]):
        check_same_batch(summed(fingerprints), len(fingerprints))


def test_nothing_is_checked_where_no_one_may_differ():
    check_same_batch([], 2)


@pytest.mark.parametrize(
    "spec, message",
    [
        ((tf.TensorSpec((8,), tf.string),), "A TPU takes no strings"),
        ((tf.TensorSpec((8, None), tf.int32),), "static shape.*Pad all sequences to one length"),
        ((tf.TensorSpec((8, 3)), tf.TensorSpec((None,))), "drop_remainder=True"),
        ((tf.TensorSpec((9, 3)),), "multiple of the 4 TPU cores"),
    ],
)
def test_batches_that_a_tpu_cannot_take_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        check_for_tpu(spec, replicas=4)


def test_batches_for_a_tpu():
    check_for_tpu(({"ids": tf.TensorSpec((8, 3), tf.int32)}, tf.TensorSpec((8,))), replicas=4)
