"""A graph, and XLA, compute what eager execution computes, forward and backward."""

import functools

import pytest
import tensorflow as tf
from running import assert_all_close, forward_and_gradients
from table import BIDIRECTIONAL, FEATURES, MASKS, SINGLE, STACKED, TIME, UNITS, built, inputs

from tfpar import layers


@pytest.fixture(scope="module")
def eager():
    """Results of eager execution, computed once for each row."""

    @functools.cache
    def compute(row):
        return forward_and_gradients(built(row, layers, return_sequences=True), inputs(), mask=MASKS["masked"])

    return compute


# A compilation takes seconds, so wrappers are compiled once; XLA compiles the graph that the graph tests check.
CASES = [(row, "xla") for row in [*SINGLE, BIDIRECTIONAL[-1]]]
CASES += [(row, "graph") for row in [SINGLE[1], *BIDIRECTIONAL[:-1], *STACKED]]


@pytest.mark.parametrize("row, way", CASES, ids=[f"{row}-{way}" for row, way in CASES])
def test_equals_eager(row, way, eager):
    layer = built(row, layers, return_sequences=True)
    outputs, gradients = forward_and_gradients(layer, inputs(), way, mask=MASKS["masked"])
    expected, expected_gradients = eager(row)
    assert_all_close(outputs, expected)
    assert_all_close(gradients, expected_gradients)


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_any_batch_size_and_length_in_one_graph(row):
    layer = built(row, layers, return_sequences=True)
    function = tf.function(layer, autograph=False, input_signature=[tf.TensorSpec((None, None, FEATURES))])
    for batch, time in ((2, 3), (1, 1), (3, 6)):
        x = inputs(batch=batch, time=time)
        assert_all_close([function(x)], [layer(x)])
    assert function.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_static_shapes_survive(row):
    """As in Keras' layers, so that what follows may count on the number of steps."""
    layer = built(row, layers, return_sequences=True)
    traced = tf.function(layer, autograph=False).get_concrete_function(tf.TensorSpec((None, TIME, FEATURES)))
    assert traced.output_shapes == tf.TensorShape((None, TIME, UNITS))
