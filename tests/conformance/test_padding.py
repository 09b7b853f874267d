"""Values at masked steps do not affect valid outputs, states or gradients."""

import numpy as np
import pytest
from running import assert_all_close, forward_and_gradients
from table import BIDIRECTIONAL, ROWS, SINGLE, built, inputs

from tfpar import layers

TIME = 5


def padded(garbage):
    x = inputs(time=TIME)
    more = np.full((len(x), 3, x.shape[2]), garbage, "float32")
    return np.concatenate([x, more], axis=1), np.arange(TIME + 3)[None, :].repeat(len(x), axis=0) < TIME


@pytest.mark.parametrize("garbage", [0.0, 1e6])
@pytest.mark.parametrize("row", SINGLE + BIDIRECTIONAL, ids=str)
def test_more_padding_changes_no_output_and_no_state(row, garbage):
    layer = built(row, layers, return_sequences=True, return_state=True)
    x, mask = padded(garbage)
    plain, longer = layer(inputs(time=TIME)), layer(x, mask=mask)
    shortened = [o[:, :TIME] if len(o.shape) == 3 else o for o in longer]
    assert_all_close(shortened, plain, atol=1e-6)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_more_padding_changes_no_gradient(row):
    layer = built(row, layers)
    x, mask = padded(garbage=3.0)
    outputs, (by_x, *by_weights) = forward_and_gradients(layer, x, mask=mask)
    expected, (expected_by_x, *expected_by_weights) = forward_and_gradients(layer, inputs(time=TIME))
    assert_all_close(outputs, expected, atol=1e-6)
    assert_all_close([by_x[:, :TIME], *by_weights], [expected_by_x, *expected_by_weights], atol=1e-6)
    assert not by_x[:, TIME:].any()


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_holes_are_as_if_their_steps_were_not_there(row):
    layer = built(row, layers, return_state=True)
    x = inputs(time=TIME)
    mask = np.array([[True, False, True, True, False]] * len(x))
    assert_all_close(layer(x, mask=mask), layer(x[:, [0, 2, 3]]), atol=1e-6)
