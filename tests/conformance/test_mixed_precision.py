"""Mixed precision: outputs are close to float32's, weights are float32, outputs have the compute dtype."""

import numpy as np
import pytest
from running import assert_all_close, forward_and_gradients
from table import MASKS, ROWS, SINGLE, built, inputs

from tfpar import layers

TOLERANCES = {"mixed_bfloat16": 0.1, "mixed_float16": 0.015}


@pytest.mark.parametrize("policy", TOLERANCES)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_close_to_float32(row, policy):
    narrow, wide = (built(row, layers, dtype=dtype, return_sequences=True) for dtype in (policy, "float32"))
    assert {weight.dtype for weight in narrow.weights} == {"float32"}
    (outputs, gradients), (expected, expected_gradients) = (
        forward_and_gradients(layer, inputs(), mask=MASKS["masked"]) for layer in (narrow, wide)
    )
    for array, reference in zip([*outputs, *gradients], [*expected, *expected_gradients], strict=True):
        scale = max(1.0, np.abs(reference).max())
        narrowed = array.astype("float32")
        assert_all_close([narrowed / scale], [reference / scale], atol=TOLERANCES[policy], rtol=0)


@pytest.mark.parametrize("policy", TOLERANCES)
@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_outputs_have_the_compute_dtype(row, policy):
    layer = built(row, layers, dtype=policy, return_state=True)
    assert {str(output.dtype.name) for output in layer(inputs())} == {policy.removeprefix("mixed_")}
