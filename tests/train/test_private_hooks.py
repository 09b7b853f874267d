"""Private names of Keras and TensorFlow on which `tfpar.train` relies exist, and mean what is assumed.

When one of these tests fails after an update, look at the file of `tfpar/train` that its docstring names.
"""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.tensorflow.optimizer import TFOptimizer
from keras.src.losses.loss import apply_mask
from keras.src.models.functional import Functional
from keras.src.optimizers.base_optimizer import BaseOptimizer
from tensorflow.python.distribute import distribute_lib
from training import X, Y, dense

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def model():
    model = dense(keras.Model)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.train_on_batch(X, Y)
    return model


def test_a_compiled_loss_calls_what_stands_in_its_flat_losses(model):
    """losses.py"""
    (flat,) = model._compile_loss._flat_losses
    called = []

    def loss(y_true, y_pred, sample_weight=None):
        called.append(sample_weight)
        return tf.constant(7.0)

    model._compile_loss._flat_losses = [flat._replace(loss=loss)]
    assert float(model._compile_loss(Y, model(X))) == 7.0
    assert called == [None]


def test_a_compiled_loss_has_a_metric_for_each_of_several_losses_and_reads_update_state_from_the_object():
    """losses.py"""
    x = keras.Input((2,))
    model = keras.Model(x, [keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)])
    model.compile("sgd", ["mse", "mse"])
    ones = np.ones((4, 2), "float32")
    model.train_on_batch(ones, [ones[:, :1], ones[:, :1]])
    assert len(model._compile_loss.metrics) == len(model._compile_loss._flat_losses) == 2
    called = []
    for metric in model._compile_loss.metrics:
        vars(metric)["update_state"] = lambda *args, **kwargs: called.append(kwargs)
    model._compile_loss([ones[:, :1]] * 2, model(ones))
    assert len(called) == 2


def test_a_pushed_default_replica_mode_hides_the_strategy():
    """losses.py"""
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    seen = []

    def step():
        distribute_lib._push_per_thread_mode(distribute_lib._get_default_replica_mode())
        try:
            seen.append((tf.distribute.has_strategy(), tf.distribute.get_strategy().num_replicas_in_sync))
            assert tf.distribute.in_cross_replica_context() is False
        finally:
            distribute_lib._pop_per_thread_mode()
        seen.append((tf.distribute.has_strategy(), tf.distribute.get_replica_context().strategy is strategy))

    strategy.run(step)
    assert seen == [(False, 1), (True, True)]


def test_losses_hide_values_by_the_mask_of_what_they_call():
    """losses.py"""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    called = loss.call(tf.constant([0, 1, 2]), tf.constant(np.eye(3, dtype="float32")))
    assert called._keras_mask.numpy().tolist() == [False, True, True]


def test_apply_mask_multiplies_weights_by_the_mask_unless_they_are_rescaled():
    """losses.py"""
    weights, mask = tf.constant([1.0, 2.0, 3.0, 4.0]), tf.constant([True, True, False, False])
    plain = apply_mask(weights, mask, dtype="float32", reduction="mean_with_sample_weight")
    assert plain.numpy().tolist() == [1.0, 2.0, 0.0, 0.0]
    assert apply_mask(weights, mask, dtype="float32", reduction="sum_over_batch_size").numpy()[0] != 1.0


def test_tensorflows_optimizer_stands_between_keras_own_and_the_neutral_one():
    """replica.py"""
    hooks = (
        "_apply_weight_decay",
        "_backend_increment_gradient_accumulators",
        "_backend_update_step",
        "_overwrite_model_variables_with_average_value",
    )
    for optimizer in (keras.optimizers.SGD, keras.optimizers.LossScaleOptimizer):
        order = optimizer.__mro__
        assert order.index(keras.optimizers.Optimizer) < order.index(TFOptimizer) < order.index(BaseOptimizer)
    assert [name for name in hooks if name not in vars(TFOptimizer)] == [], "is nothing overridden any more?"
    assert {"_tf_apply", "_common_apply"} <= set(dir(keras.optimizers.LossScaleOptimizer))


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("_clip_gradients", ["grads"]),
        ("_backend_increment_gradient_accumulators", ["grads", "acc_grads"]),
        ("_backend_reset_gradient_accumulators", []),
    ],
)
def test_methods_of_optimizers_that_are_replaced(name, arguments):
    """accumulation.py"""
    assert list(inspect.signature(getattr(keras.optimizers.SGD(), name)).parameters) == arguments


def test_accumulated_gradients_are_divided_by_the_steps_before_they_are_clipped():
    """accumulation.py"""
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    optimizer.build([variable])
    clipped = []
    clip = optimizer._clip_gradients
    optimizer._clip_gradients = lambda gradients: clipped.append(float(gradients[0][0])) or clip(gradients)
    for gradient in (3.0, 5.0):
        optimizer.apply([tf.constant([gradient])], [variable])
    assert (clipped[-1], float(variable[0])) == (4.0, -4.0)


def test_a_variable_reads_and_writes_what_stands_in_its_value():
    """replica.py"""
    variable, other = keras.Variable(1.0), tf.Variable(2.0)
    variable._value, own = other, variable._value
    variable.assign(5.0)
    assert (float(variable + 0.0), float(other), float(own)) == (5.0, 5.0, 1.0)


def test_a_stateless_scope_notes_by_the_variables_id_and_collects_losses():
    """parts.py"""
    variable = keras.Variable(1.0)
    scope = keras.StatelessScope(state_mapping=[(variable, tf.constant(2.0))], collect_losses=True)
    with scope:
        variable.assign(variable + 1.0)
    assert float(variable) == 1.0
    assert {key: float(value) for key, value in scope.state_mapping.items()} == {id(variable): 3.0}


def test_names_of_a_model(model):
    """model.py, workers.py"""
    names = {
        "_call_has_training_arg",
        "_compile_loss",
        "_compute_loss",
        "_flatten_layers",
        "_initial_epoch",
        "_jit_compile",
        "_loss_tracker",
        "_make_function",
        "_maybe_symbolic_build",
        "_resolve_auto_jit_compile",
        "_symbolic_build",
    }
    assert names <= set(dir(model))


def test_an_own_compute_loss_is_called_with_training_or_without():
    """model.py"""

    class Older(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return tf.constant(7.0)

    class Own(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return tf.constant(7.0)

    for model in (Older(), Own()):
        assert float(model._compute_loss(X, Y, X, None, training=True)) == 7.0


def test_fit_begins_with_the_initial_epoch_that_a_callback_sets(model):
    """workers.py"""

    class Later(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model._initial_epoch = 2

    assert model.fit(X, Y, epochs=3, callbacks=[Later()], verbose=0).epoch == [2]


def test_an_epoch_iterator_holds_the_dataset_whose_batches_it_gives(model):
    """model.py"""
    specs = []

    class Watching(type(model)):
        def _maybe_symbolic_build(self, iterator=None, data_batch=None):
            specs.append(iterator._distributed_dataset.element_spec)
            return super()._maybe_symbolic_build(iterator, data_batch)

    watching = Watching(model.inputs, model.outputs)
    watching.compile("sgd", "mse")
    watching.fit(X, np.zeros((10, 3)), verbose=0)
    assert specs[0][0].shape[1:] == (5, 4)


def test_a_functional_model_says_what_it_is():
    """model.py"""
    assert isinstance(dense(keras.Model), Functional)
