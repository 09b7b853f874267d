"""Code around cuDNN's operation: masks, directions, states, and batches that it cannot run.

There is no GPU here: every test puts a stand-in, written from NVIDIA's description, in the operation's place.
"""

import cudnn_equations
import numpy as np
import pytest
import tensorflow as tf
from running import assert_all_close, forward_and_gradients
from table import SINGLE, built, inputs, states

from tfpar import layers
from tfpar.layers.recurrent import placement
from tfpar.ops import cudnn

ROWS = [row for row in SINGLE if row.name in ("lstm", "gru")]
MASKS = {
    "no_mask": None,
    # With a row that is full, and one that is empty.
    "right_padded": np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool),
    "left_padded": np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool),
    "holes": np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool),
}


@pytest.fixture
def stand_in(monkeypatch):
    """Within `stand_in()` layers detect a GPU and run the stand-in; the list has the modes of its calls."""
    ran = []

    def run_operation(mode, *arguments):
        ran.append(mode)
        return cudnn_equations.run_operation(mode, *arguments)

    monkeypatch.setattr(cudnn, "run_operation", run_operation)
    monkeypatch.setattr(placement, "device_type", lambda: "GPU")
    return ran


def compare(row, way, mask=None, initial_state=None, tolerance=1e-5, **arguments):
    """Return outputs, states and gradients of a layer by the stand-in, and by the training loop."""
    common = dict(return_state=True, **arguments)
    with_cudnn, looped = (built(row, layers, use_cudnn=use_cudnn, **common) for use_cudnn in (True, False))
    calls = dict(way=way, initial_state=initial_state, mask=mask, training=True)
    found, expected = (forward_and_gradients(layer, inputs(), **calls) for layer in (with_cudnn, looped))
    for ours, theirs in zip(found, expected, strict=True):
        assert_all_close(ours, theirs, atol=tolerance)


@pytest.mark.parametrize("mask", ["no_mask", "right_padded", "holes"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_sequences_states_and_gradients_equal_the_loops_in_a_graph_with_a_stand_in_for_the_op(
    row, go_backwards, mask, stand_in
):
    compare(row, "graph", MASKS[mask], go_backwards=go_backwards, return_sequences=True)
    assert stand_in == [row.name]


@pytest.mark.parametrize("mask", ["no_mask", "right_padded"])
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("zero_output_for_mask", [False, True], ids=["carried", "zeroed"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_outputs_from_initial_states_equal_the_loops_with_a_stand_in_for_the_op(
    row, go_backwards, zero_output_for_mask, return_sequences, mask, stand_in
):
    options = dict(
        go_backwards=go_backwards, zero_output_for_mask=zero_output_for_mask, return_sequences=return_sequences
    )
    compare(row, "eager", MASKS[mask], states(row.states), **options)
    assert stand_in == [row.name]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_no_bias_equals_the_loop_with_a_stand_in_for_the_op(row, stand_in):
    compare(row, "eager", MASKS["right_padded"], use_bias=False)
    assert stand_in


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_float16_equals_the_loop_with_a_stand_in_for_the_op(row, stand_in):
    compare(row, "graph", MASKS["right_padded"], dtype="mixed_float16", return_sequences=True, tolerance=2e-2)
    assert stand_in


@pytest.mark.parametrize("mask", MASKS.keys())
def test_only_padding_at_the_right_runs_the_stand_in_for_the_op(mask, stand_in):
    layers.LSTM(3)(inputs(), mask=MASKS[mask])
    assert stand_in == ([] if mask in ("left_padded", "holes") else ["lstm"])


def test_nothing_behind_the_padding_is_read_with_a_stand_in_for_the_op(stand_in):
    layer = built(ROWS[0], layers, return_sequences=True)
    mask, x = MASKS["right_padded"], inputs()
    garbage = np.where(mask[:, :, None], x, np.nan).astype("float32")
    assert_all_close(*([layer(values, mask=mask)] for values in (garbage, x)), atol=0, rtol=0)


def test_a_stateful_layer_carries_its_states_with_a_stand_in_for_the_op(stand_in):
    together, apart = (built(ROWS[0], layers, stateful=True) for _ in range(2))
    apart(inputs()[:, :2])
    assert_all_close([apart(inputs()[:, 2:])], [together(inputs())], atol=1e-6)
    assert len(stand_in) == 3


def test_batches_of_any_size_take_either_branch_of_one_graph_with_a_stand_in_for_the_op(stand_in):
    """The number of rows is not known in the trace."""

    def traced(layer):
        specs = [tf.TensorSpec((None, 5, 4)), tf.TensorSpec((None, 5), tf.bool)]
        return tf.function(lambda x, mask: layer(x, mask=mask), autograph=False, input_signature=specs)

    with_cudnn, looped = (traced(built(ROWS[1], layers, use_cudnn=use_cudnn)) for use_cudnn in (True, False))
    for mask in (MASKS["right_padded"], MASKS["holes"]):
        for rows in (4, 2, 0):
            arguments = inputs()[:rows], mask[:rows]
            assert_all_close([with_cudnn(*arguments)], [looped(*arguments)], atol=1e-6)
    assert stand_in == ["gru"]
