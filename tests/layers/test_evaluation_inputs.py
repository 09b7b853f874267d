"""Sequences of no step, of one and of masked steps only, and wrong states, by each evaluation of each cell."""

import numpy as np
import pytest
import tensorflow as tf
from running import WAYS, assert_all_close

from tfpar.layers.recurrent.cells import CELLS

BATCH, FEATURES, UNITS = 2, 3, 4
CASES = [(cell, evaluation) for cell in CELLS for evaluation in CELLS[cell].layer.EVALUATIONS]


def make_layer(cell, evaluation):
    layer = CELLS[cell].layer(UNITS, evaluation=evaluation, return_sequences=True, return_state=True, seed=1)
    layer.build((None, None, FEATURES))
    return layer


def draw_states(layer):
    return [np.random.default_rng(1).normal(size=(BATCH, size)).astype("float32") for size in layer.state_size]


def run(layer, inputs, way="eager", **arguments):
    function = WAYS[way](lambda inputs: layer(inputs, **arguments))
    sequence, *states = function(tf.constant(inputs, "float32"))
    return sequence, states


@pytest.mark.parametrize("way", ["eager", pytest.param("xla", marks=pytest.mark.slow)])
@pytest.mark.parametrize("cell, evaluation", CASES)
def test_no_step_one_step_and_masked_steps(cell, evaluation, way):
    layer = make_layer(cell, evaluation)
    states = draw_states(layer)
    sequence, final = run(layer, np.ones((BATCH, 0, FEATURES)), way, initial_state=states)
    assert sequence.shape == (BATCH, 0, UNITS)
    assert_all_close(final, states, atol=0)

    one = np.ones((BATCH, 1, FEATURES))
    step, expected = layer.step(tf.constant(one, "float32"), states)
    sequence, final = run(layer, one, way, initial_state=states)
    assert_all_close([sequence, *final], [step, *expected])

    arguments = {"initial_state": states, "mask": np.zeros((BATCH, 5), bool)}
    sequence, final = run(layer, np.full((BATCH, 5, FEATURES), np.nan), way, **arguments)
    assert_all_close(final, states, atol=0)
    np.testing.assert_array_equal(sequence, 0)  # as in Keras: there is no valid output to repeat


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_no_step_of_a_number_that_the_graph_does_not_know(cell, is_masked, compiled):
    layer = make_layer(cell, "auto")
    states = draw_states(layer)

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, None), "bool")],
        jit_compile=compiled,
    )
    def forward_and_gradient(inputs, mask):
        with tf.GradientTape() as tape:
            sequence, *final = layer(inputs, initial_state=states, mask=mask if is_masked else None)
            loss = tf.reduce_sum(sequence) + sum(map(tf.reduce_sum, final))
        return sequence, final, tape.gradient(loss, layer.trainable_variables[0])

    sequence, final, gradient = forward_and_gradient(tf.ones((BATCH, 0, FEATURES)), tf.ones((BATCH, 0), bool))
    assert sequence.shape == (BATCH, 0, UNITS)
    assert_all_close(final, states, atol=0)
    np.testing.assert_array_equal(gradient, 0)

    inputs = tf.ones((BATCH, 2, FEATURES))
    sequence, final, _ = forward_and_gradient(inputs, tf.ones((BATCH, 2), bool))
    expected, *expected_final = layer(inputs, initial_state=states)
    assert_all_close([sequence, *final], [expected, *expected_final], atol=1e-5)


@pytest.mark.parametrize("cell, evaluation", CASES)
def test_states_of_wrong_shapes_are_refused(cell, evaluation):
    layer = make_layer(cell, evaluation)
    inputs, states = np.ones((BATCH, 5, FEATURES), "float32"), draw_states(layer)
    shapes = r"`initial_state` of .* must hold tensors of shapes \(batch, .*; got "
    for wrong, message in [
        ([state[:, :-1] for state in states], shapes + r"\(2, \d+\) for 2 rows"),
        ([state[:1] for state in states], shapes + r"\(1, \d+\) for 2 rows"),
        ([state[0] for state in states], shapes + r"\(\d+,\) for 2 rows"),
        ([*states, states[0]], r"`initial_state` must hold \d tensor\(s\) of shape .*; got \d"),
    ]:
        with pytest.raises(ValueError, match=message):
            layer(inputs, initial_state=wrong)


@pytest.mark.parametrize("cell", CELLS)
def test_unknown_evaluations_are_refused(cell):
    unsupported = {"scan", "newton", "parallel"} - set(CELLS[cell].layer.EVALUATIONS)
    for evaluation in unsupported:
        with pytest.raises(ValueError, match=f"`evaluation` must be one of auto, .*; got '{evaluation}'. Pass 'auto'"):
            make_layer(cell, evaluation)
