"""A stateful layer starts from the final states of the last batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from running import assert_all_close
from table import BATCH, BIDIRECTIONAL, FEATURES, MASKS, SINGLE, built, inputs

from tfpar import layers


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_two_halves_equal_the_whole(row):
    x = inputs(time=6)
    whole = built(row, layers, return_sequences=True)(x)
    layer = built(row, layers, return_sequences=True, stateful=True)
    halves = [layer(x[:, :3]), layer(x[:, 3:])]
    assert_all_close([np.concatenate(halves, axis=1)], [whole])


@pytest.mark.parametrize("row", SINGLE + BIDIRECTIONAL, ids=str)
def test_equals_keras_and_resets(row):
    def answers(layer, x, mask=None):
        return tf.nest.flatten(layer(x, mask=mask))

    ours, theirs = (built(row, module, stateful=True) for module in (layers, keras.layers))
    first = answers(ours, inputs())
    assert_all_close(first, answers(theirs, inputs()))
    assert_all_close(answers(ours, inputs(3), MASKS["masked"]), answers(theirs, inputs(3), MASKS["masked"]))
    assert_all_close([s.numpy() for s in ours.states], [s.numpy() for s in theirs.states])
    ours.reset_state()
    assert_all_close(answers(ours, inputs()), first, atol=0)


@pytest.mark.parametrize("row", SINGLE + BIDIRECTIONAL, ids=str)
def test_carries_what_it_returns(row):
    layer = built(row, layers, stateful=True, return_state=True)
    returned = layer(inputs(), mask=MASKS["masked"])[-row.states :]
    assert_all_close([s.numpy() for s in layer.states], returned, atol=0)


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_carried_states_are_no_weights(row):
    layer = built(row, layers, stateful=True)
    assert len(layer.weights) == 3
    assert [tuple(state.shape) for state in layer.states] == [(BATCH, 3)] * row.states


def test_in_a_compiled_model():
    x = keras.Input(batch_shape=(2, 3, FEATURES))
    model = keras.Model(x, layers.LSTM(3, stateful=True)(x))
    batch = inputs(batch=2, time=3)
    first, second = model.predict(batch, verbose=0), model.predict(batch, verbose=0)
    assert np.abs(first - second).max() > 1e-3


def test_refuses_an_unknown_and_a_changed_batch_size():
    with pytest.raises(ValueError, match=r"stateful=True needs a static batch size.*batch_shape="):
        layers.LSTM(3, stateful=True).build((None, 5, FEATURES))
    layer = layers.GRU(3, stateful=True, name="memory")
    layer(inputs(batch=2))
    with pytest.raises(ValueError, match="memory: stateful=True was built for batches of 2 rows; got 3"):
        layer(inputs(batch=3))
