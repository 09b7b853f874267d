"""Each single layer equals its equations in NumPy."""

import functools

import oracles
import pytest
from running import assert_all_close
from table import MASKS, SINGLE, built, inputs, states

from tfpar import layers

ORACLES = {
    "simple_rnn": oracles.simple_rnn,
    "lstm": oracles.lstm,
    "gru": oracles.gru,
    "gru_reset_before": functools.partial(oracles.gru, reset_after=False),
}


@pytest.mark.parametrize("with_states", [False, True], ids=["from_zeros", "from_states"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("zero_output_for_mask", [False, True], ids=["carried", "zeroed"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_equals_its_equations(row, mask, zero_output_for_mask, go_backwards, with_states):
    options = dict(go_backwards=go_backwards, zero_output_for_mask=zero_output_for_mask)
    x, initial = inputs(), states(row.states) if with_states else None
    layer = built(row, layers, return_sequences=True, return_state=True, **options)
    sequence, *final = layer(x, mask=MASKS[mask], initial_state=initial)
    expected, _, expected_final = ORACLES[row.name](
        x, *layer.get_weights(), mask=MASKS[mask], initial_state=initial, **options
    )
    assert_all_close([sequence, *final], [expected, *expected_final])


@pytest.mark.parametrize("zero_output_for_mask", [False, True], ids=["carried", "zeroed"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_last_output_is_the_sequence_s_last(row, mask, zero_output_for_mask):
    layer = built(row, layers, zero_output_for_mask=zero_output_for_mask)
    x = inputs()
    _, last, _ = ORACLES[row.name](x, *layer.get_weights(), mask=MASKS[mask], zero_output_for_mask=zero_output_for_mask)
    assert_all_close([layer(x, mask=MASKS[mask])], [last])


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_without_bias(row):
    layer = built(row, layers, use_bias=False, return_sequences=True)
    assert len(layer.weights) == 2
    expected, *_ = ORACLES[row.name](inputs(), *layer.get_weights())
    assert_all_close([layer(inputs())], [expected])
