"""`outside_scope` within the scope of a strategy."""

import keras
import pytest
import tensorflow as tf

from tfpar.cluster import outside_scope


@pytest.fixture(scope="module")
def strategy():
    return tf.distribute.MirroredStrategy(["CPU:0"])


def is_distributed(variable):
    return isinstance(variable, tf.distribute.DistributedValues)


def test_variables_are_plain(strategy):
    with strategy.scope():
        with outside_scope():
            assert not tf.distribute.has_strategy()
            variable = tf.Variable([1.0, 2.0], name="plain", trainable=False)
            assert not is_distributed(variable) and not is_distributed(keras.Variable(3.0).value)
        assert tf.distribute.get_strategy() is strategy
        assert is_distributed(tf.Variable(1.0))
    assert (variable.numpy().tolist(), variable.name, variable.trainable) == ([1.0, 2.0], "plain:0", False)


def test_a_scope_can_be_entered_again(strategy):
    with strategy.scope(), outside_scope(), strategy.scope():
        variable = tf.Variable(4.0)
    assert is_distributed(variable) and variable.numpy() == 4.0


def test_a_saved_model_can_be_loaded(strategy, tmp_path):
    module = tf.Module()
    module.variable = tf.Variable([6.0, 7.0])
    tf.saved_model.save(module, str(tmp_path))
    with strategy.scope(), outside_scope():
        variable = tf.saved_model.load(str(tmp_path)).variable
    assert not is_distributed(variable) and variable.numpy().tolist() == [6.0, 7.0]


def test_nothing_changes_without_a_scope():
    with outside_scope():
        assert tf.Variable(5.0).numpy() == 5.0


def test_the_scope_is_restored_after_an_error(strategy):
    with strategy.scope():
        with pytest.raises(ValueError, match="inside"), outside_scope():
            raise ValueError("inside")
        assert is_distributed(tf.Variable(1.0))
