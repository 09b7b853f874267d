"""Sample inputs for calibration and comparison."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpar.errors import UserError
from tfpar.export.conversion.samples import ROWS, sample_inputs


@pytest.fixture
def model():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    return keras.Model(tokens, keras.layers.Embedding(9, 2)(tokens))


@pytest.fixture
def pair():
    """A model of two inputs."""
    left, right = keras.Input((None, 3), name="left"), keras.Input((2,), dtype="int32", name="right")
    joined = keras.layers.Concatenate()([keras.layers.GlobalMaxPooling1D()(left), keras.layers.Flatten()(right)])
    return keras.Model([left, right], joined)


def batches(*elements):
    signature = tf.nest.map_structure(lambda t: tf.TensorSpec([None] * np.ndim(t), np.asarray(t).dtype), elements[0])
    return tf.data.Dataset.from_generator(lambda: iter(elements), output_signature=signature)


def test_shorter_batches_are_padded_at_the_right(model):
    data = batches(np.array([[1, 2]], np.int32), np.array([[3, 4, 5], [6, 7, 8]], np.int32))
    np.testing.assert_array_equal(sample_inputs(model, data, None)["tokens"], [[1, 2, 0], [3, 4, 5], [6, 7, 8]])


def test_a_sequence_length_pads_and_cuts(model):
    data = batches(np.array([[1, 2]], np.int32), np.array([[3, 4, 5, 6]], np.int32))
    np.testing.assert_array_equal(sample_inputs(model, data, 3)["tokens"], [[1, 2, 0], [3, 4, 5]])


def test_labels_are_left_out_and_so_are_rows_of_weight_zero(model):
    element = (
        np.array([[1], [2], [3]], np.int32),
        np.array([0, 1, 0], np.int32),
        np.array([1.0, 0.0, 0.5], np.float32),
    )
    np.testing.assert_array_equal(sample_inputs(model, batches(element), None)["tokens"], [[1], [3]])


def test_a_pair_of_inputs_and_labels(model):
    element = (np.array([[1], [2]], np.int32), np.array([0, 1], np.int32))
    np.testing.assert_array_equal(sample_inputs(model, batches(element), None)["tokens"], [[1], [2]])


def test_arrays_are_taken_as_they_are(model, pair):
    np.testing.assert_array_equal(sample_inputs(model, np.array([[1], [2]]), None)["tokens"], [[1], [2]])
    samples = sample_inputs(pair, [np.ones((2, 4, 3)), np.array([[1, 2], [3, 4]])], None)
    np.testing.assert_array_equal(samples["right"], [[1, 2], [3, 4]])


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 4, 2), (2, 4)])
def test_features_are_not_cut_and_not_filled_up(pair, shape):
    good, tokens = np.ones((2, 4, 3), np.float32), np.ones((2, 2), np.int32)
    with pytest.raises(UserError, match=r"'left' of shape \(None, None, 3\); got \(2, 4"):
        sample_inputs(pair, [np.ones(shape), tokens], None)
    if len(shape) == 3:  # not in the first batch alone
        with pytest.raises(UserError, match=r"'left' of shape \(None, None, 3\)"):
            sample_inputs(pair, batches(((good, tokens),), ((np.ones(shape, np.float32), tokens),)), None)


def test_a_declared_length_may_be_padded_to_but_not_cut_to():
    tokens = keras.Input((3,), dtype="int32", name="tokens")
    model = keras.Model(tokens, keras.layers.Embedding(9, 2)(tokens))
    np.testing.assert_array_equal(sample_inputs(model, np.array([[1, 2]]), None)["tokens"], [[1, 2, 0]])
    with pytest.raises(UserError, match=r"'tokens' of shape \(None, 3\); got \(1, 4\)"):
        sample_inputs(model, np.array([[1, 2, 3, 4]]), None)


@pytest.mark.parametrize("data", [np.zeros(3), [1, np.zeros(2)], np.zeros((2, 3, 4))])
def test_rows_that_do_not_fit_are_refused(model, data):
    with pytest.raises(UserError, match=r"'tokens' of shape \(None, None\); got \("):
        sample_inputs(model, data, None)


def test_rows_are_spread_evenly(model):
    column = np.arange(10 * ROWS, dtype=np.int32)
    chosen = sample_inputs(model, {"tokens": column[:, None]}, None)["tokens"][:, 0]
    assert len(chosen) == ROWS
    assert chosen[0] == 0 and chosen[-1] == column[-1]
    steps = np.diff(chosen)
    assert steps.min() >= 10 and steps.max() <= 11


def test_dict_of_arrays_in_any_order(pair):
    left, right = np.ones((4, 5, 3), np.float32), np.arange(8, dtype=np.int32).reshape(4, 2)
    samples = sample_inputs(pair, {"right": right, "left": left}, None)
    assert list(samples) == ["left", "right"]
    np.testing.assert_array_equal(samples["left"], left)
    np.testing.assert_array_equal(samples["right"], right)


def test_dataset_of_two_inputs(pair):
    left, right = np.ones((2, 5, 3), np.float32), np.array([[1, 2], [3, 4]], np.int32)
    samples = sample_inputs(pair, batches(((left, right), np.zeros(2, np.float32))), 4)
    assert samples["left"].shape == (2, 4, 3)
    np.testing.assert_array_equal(samples["right"], right)


def test_dtypes_are_those_of_the_model(model):
    assert sample_inputs(model, {"tokens": np.array([[1, 2]], np.int64)}, None)["tokens"].dtype == np.int32


@pytest.mark.parametrize("length", [None, 5])
def test_random_rows_fit_the_model(pair, model, length):
    samples = sample_inputs(pair, None, length)
    assert samples["left"].shape[1:] == (length or 16, 3) and samples["right"].shape[1:] == (2,)
    tokens = sample_inputs(model, None, length)["tokens"]
    assert tokens.min() >= 1 and tokens.max() < 9
    np.testing.assert_array_equal(tokens, sample_inputs(model, None, length)["tokens"])


def test_too_few_inputs(pair):
    data = batches(np.ones((2, 5, 3), np.float32))
    with pytest.raises(UserError, match=r"\['left', 'right'\]; got 1"):
        sample_inputs(pair, data, None)


def test_too_many_inputs(model):
    tokens = np.ones((2, 5), np.int32)
    with pytest.raises(UserError, match=r"\['tokens'\]; got 2"):
        sample_inputs(model, batches(((tokens, tokens), np.zeros(2, np.int32))), None)


@pytest.mark.parametrize("given", [{}, {"token": np.ones((2, 5), np.int32)}])
def test_a_dict_that_lacks_an_input(model, given):
    with pytest.raises(UserError, match="tokens"):
        sample_inputs(model, given, None)


def test_no_rows(model):
    element = (np.ones((2, 3), np.int32), np.zeros(2, np.int32), np.zeros(2, np.float32))
    empty, weightless = batches(element).take(0), batches(element)
    for data in (weightless, {"tokens": np.ones((0, 3), np.int32)}, empty):
        with pytest.raises(UserError, match="no example"):
            sample_inputs(model, data, None)
