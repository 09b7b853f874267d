"""Shards of a batch are consecutive, and workers with different batches are stopped."""

import numpy as np
import pytest
import tensorflow as tf

from tfpar.train.sharding import DIFFERENT_BATCHES, check_for_tpu, check_same_batch, compute_fingerprint, slice_rows

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    "rows, count, sizes",
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
@pytest.mark.parametrize("index_is_static", [True, False])
@pytest.mark.parametrize("rows_are_static", [True, False])
def test_slices_are_consecutive_and_as_even_as_the_rows_allow(rows, count, sizes, index_is_static, rows_are_static):
    x = np.arange(3 * rows).reshape(rows, 3)
    spec = tf.TensorSpec((rows if rows_are_static else None, 3), tf.int64)

    def cut(x, index):
        return slice_rows((x, None, {"y": x[:, 0]}), index, count)

    offsets, slices = [], []
    for index in range(count):
        argument = index if index_is_static else tf.constant(index)
        function = tf.function(cut, autograph=False)
        signature = (spec, index) if index_is_static else (spec, tf.TensorSpec((), tf.int32))
        concrete = function.get_concrete_function(*signature)
        offset, (own, absent, labels) = function(tf.constant(x), argument)
        assert absent is None and own.shape[0] == labels["y"].shape[0]
        if rows_are_static and rows and rows % count == 0:
            assert concrete.structured_outputs[1][0].shape == (rows // count, 3), "XLA needs a static shape"
        offsets.append(int(offset))
        slices.append(own.numpy())
    assert [len(own) for own in slices] == sizes
    assert [offset for offset, size in zip(offsets, sizes, strict=True) if size] == [
        sum(sizes[:index]) for index, size in enumerate(sizes) if size
    ]
    np.testing.assert_array_equal(np.concatenate(slices), x)


def test_batches_of_equal_values_and_other_shapes_differ():
    batches = [np.ones(shape, "float32") for shape in ((4, 6), (4, 9), (6, 4), (24,))]
    assert len({float(compute_fingerprint([tf.constant(batch)])) for batch in batches}) == len(batches)


def summed(fingerprints):
    numbers = np.asarray(fingerprints, "float32")
    return [tf.constant(numbers.sum()), tf.constant((numbers**2).sum())]


@pytest.mark.parametrize("fingerprints", [[7], [0, 0], [255] * 3, [255] * 256])
def test_one_batch_passes(fingerprints):
    check_same_batch(summed(fingerprints), len(fingerprints))


@pytest.mark.parametrize("fingerprints", [[7, 8], [0, 255], [255] * 255 + [254], [0] * 255 + [1], [1, 2, 3, 2]])
def test_different_batches_are_refused(fingerprints):
    with pytest.raises(tf.errors.InvalidArgumentError, match=DIFFERENT_BATCHES[:40]):
        check_same_batch(summed(fingerprints), len(fingerprints))


def test_nothing_is_checked_in_one_process():
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
