"""Real numbers as 8-bit ones, and back."""

import numpy as np

from tfpar.export.conversion.quantization import Quantization

EIGHTHS = Quantization(np.dtype("int8"), 0.125, 3)


def test_the_nearest_that_there_is():
    values = np.linspace(-16, 15, 500, dtype=np.float32)
    stored = EIGHTHS.quantize(values)
    assert stored.dtype == np.int8
    assert np.max(np.abs(EIGHTHS.dequantize(stored) - values)) <= 0.125 / 2


def test_values_out_of_range_are_the_last_within():
    np.testing.assert_array_equal(EIGHTHS.quantize(np.array([-1e6, 1e6])), [-128, 127])


def test_stored_values_and_tokens_stay_as_they_are():
    stored = np.array([-128, 3], np.int8)
    assert EIGHTHS.quantize(stored) is stored
    tokens = Quantization(np.dtype("int32"), 0.0, 0)
    assert tokens.dequantize(tokens.quantize(np.array([7]))).dtype == np.int64
