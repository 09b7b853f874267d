"""The fused LSTM equals the training loop, with masks and in both directions."""

import numpy as np
import pytest
import tensorflow as tf
from running import assert_all_close
from table import BIDIRECTIONAL, SINGLE, built, inputs

from tfpar import layers
from tfpar.layers.call_context import exporting

LSTM = SINGLE[1]
PADDED = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]], bool)


def fused_and_looped(layer, mask):
    def run(x):
        return tf.nest.flatten(layer(x, mask=mask))

    with exporting("tflite"):
        traced = tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((4, 5, 4)))
    implementations = [f.definition.attr["api_implements"].s for f in _functions(traced)]
    assert any(name.startswith(b"lstm_") for name in implementations), "the fused kernel did not run"
    return traced(tf.constant(inputs())), run(inputs())


def _functions(traced):
    class Function:
        def __init__(self, definition):
            self.definition = definition

    return [Function(definition) for definition in traced.graph.as_graph_def().library.function]


@pytest.mark.parametrize("mask", [None, PADDED], ids=["no_mask", "padded"])
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("zero_output_for_mask", [False, True], ids=["carried", "zeroed"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
def test_equals_the_loop(go_backwards, zero_output_for_mask, return_sequences, mask):
    layer = built(
        LSTM,
        layers,
        go_backwards=go_backwards,
        zero_output_for_mask=zero_output_for_mask,
        return_sequences=return_sequences,
    )
    assert_all_close(*fused_and_looped(layer, mask), atol=1e-6)


@pytest.mark.parametrize("mask", [None, PADDED], ids=["no_mask", "padded"])
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("row", [r for r in BIDIRECTIONAL if r.states == 4], ids=str)
def test_bidirectional(row, return_sequences, mask):
    assert_all_close(*fused_and_looped(built(row, layers, return_sequences=return_sequences), mask), atol=1e-6)


def test_without_bias():
    assert_all_close(*fused_and_looped(built(LSTM, layers, use_bias=False), PADDED), atol=1e-6)
