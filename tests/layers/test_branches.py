"""`step_from_each` against a call of the layer with each state repeated, with gradients."""

import numpy as np
import pytest
import tensorflow as tf
from running import WAYS, assert_all_close

from tfpar.layers import GRU
from tfpar.layers.recurrent.branches import step_from_each
from tfpar.layers.recurrent.cells import CELLS

FEATURES, UNITS, BRANCHES, ROWS = 3, 4, 5, 6
LAYERS = {
    **{name: cell.layer for name, cell in CELLS.items()},
    "reset_before": lambda *args, **kwargs: GRU(*args, reset_after=False, **kwargs),
}


def call_each(layer, inputs, states):
    inputs = tf.tile(inputs, [ROWS // inputs.shape[0], 1, 1])
    inputs = tf.reshape(inputs, [ROWS * BRANCHES, 1, FEATURES])
    output = layer(inputs, initial_state=[tf.repeat(state, BRANCHES, axis=0) for state in states])
    return tf.reshape(output, [ROWS, BRANCHES, UNITS])


@pytest.mark.parametrize("rows", [2, ROWS])
@pytest.mark.parametrize("name", LAYERS)
def test_equals_steps_from_repeated_states(name, rows):
    layer = LAYERS[name](UNITS, seed=1)
    layer.build((None, None, FEATURES))
    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(size=(rows, BRANCHES, FEATURES)), tf.float32)
    states = [tf.constant(generator.normal(size=(ROWS, size)), tf.float32) for size in layer.state_size]
    weights = generator.normal(size=(ROWS, BRANCHES, UNITS)).astype("float32")

    def with_gradients(function):
        def run(inputs, *states):
            with tf.GradientTape() as tape:
                tape.watch([inputs, *states])
                outputs = function(layer, inputs, states)
                loss = tf.reduce_sum(outputs * weights)
            sources = [inputs, *states, *(weight.value for weight in layer.trainable_weights)]
            return [outputs, *tape.gradient(loss, sources, unconnected_gradients="zero")]

        return WAYS["graph"](run)(inputs, *states)

    assert_all_close(with_gradients(step_from_each), with_gradients(call_each), atol=1e-5)


def test_shared_states_are_projected_once():
    """The number of rows of the matmul by the recurrent kernel."""
    layer = GRU(UNITS)
    layer.build((None, None, FEATURES))
    states = (tf.ones((ROWS, UNITS)),)
    graph = tf.function(lambda inputs: step_from_each(layer, inputs, states)).get_concrete_function(
        tf.TensorSpec((2, BRANCHES, FEATURES))
    )
    shapes = [op.outputs[0].shape for op in graph.graph.get_operations() if op.type == "MatMul"]
    assert sorted(shape[0] for shape in shapes) == sorted([2 * BRANCHES, ROWS])


def test_dropout_is_refused():
    layer = GRU(UNITS, dropout=0.5)
    layer.build((None, None, FEATURES))
    with pytest.raises(ValueError, match="`dropout` and `recurrent_dropout` of gru.* must be 0"):
        step_from_each(layer, tf.ones((1, 1, FEATURES)), (tf.ones((1, UNITS)),))
