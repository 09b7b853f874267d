"""cuDNN's own numbers, against the loop's. Skipped where there is no GPU."""

import numpy as np
import pytest
import tensorflow as tf
from running import assert_all_close, forward_and_gradients
from table import SINGLE, built, inputs, states

from tfpar import layers

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="needs a GPU"),
]

ROWS = [row for row in SINGLE if row.name in ("lstm", "gru")]
MASKS = {
    "no_mask": None,
    "right_padded": np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool),
    "holes": np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool),
}


@pytest.fixture(autouse=True)
def full_float32():
    """Without the shortened products of newer GPUs."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


def compare(row, mask, tolerance=1e-4, initial_state=None, **arguments):
    with_cudnn, looped = (
        built(row, layers, use_cudnn=use_cudnn, return_state=True, **arguments) for use_cudnn in (True, False)
    )
    calls = dict(way="graph", mask=mask, training=True, initial_state=initial_state)
    found, expected = (forward_and_gradients(layer, inputs(), **calls) for layer in (with_cudnn, looped))
    for ours, theirs in zip(found, expected, strict=True):
        assert_all_close(ours, theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("zero_output_for_mask", [False, True], ids=["carried", "zeroed"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_outputs_and_gradients(row, go_backwards, zero_output_for_mask, mask):
    options = dict(go_backwards=go_backwards, zero_output_for_mask=zero_output_for_mask, return_sequences=True)
    compare(row, MASKS[mask], **options)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_initial_states_and_no_bias(row):
    compare(row, MASKS["right_padded"], initial_state=states(row.states), use_bias=False)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_float16(row):
    compare(row, MASKS["right_padded"], tolerance=2e-2, dtype="mixed_float16")


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_batch_of_no_rows(row):
    layer = built(row, layers, use_cudnn=True)
    function = tf.function(layer, autograph=False, input_signature=[tf.TensorSpec((None, None, 4))])
    assert function(tf.zeros((0, 5, 4))).shape == (0, 3)


def test_a_layer_takes_it_by_itself():
    assert "by the cudnn kernel" in layers.LSTM(3).explain()
