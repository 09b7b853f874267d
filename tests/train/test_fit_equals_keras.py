"""On one device `fit` ends with the weights and the history of `keras.Model.fit`, with XLA and without."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import X, Y, dense, functional, largest_difference, subclassed, trained

from tfpar.train import Model

SGD = functools.partial(keras.optimizers.SGD, 0.5)
OPTIMIZERS = {
    "sgd": SGD,
    "adamw": functools.partial(keras.optimizers.AdamW, 0.05, weight_decay=0.1),
}
OPTIONS = {
    "clipnorm": functools.partial(SGD, clipnorm=0.05),
    "global_clipnorm": functools.partial(SGD, global_clipnorm=0.05),
    "clipvalue": functools.partial(SGD, clipvalue=0.01),
    "accumulation": functools.partial(SGD, gradient_accumulation_steps=2),
    "ema": functools.partial(SGD, use_ema=True, ema_momentum=0.5),
    "ema_overwrites": functools.partial(SGD, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    "loss_scaling": lambda: keras.optimizers.LossScaleOptimizer(SGD()),
    "schedule": lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.7)),
}
plain = functools.cache(lambda make, jit_compile=False: trained(make, keras.Model, SGD, jit_compile)[0])


@functools.cache
def of_keras(make, optimizer):
    return trained(make, keras.Model, OPTIMIZERS[optimizer], False, metrics=["accuracy"])


@pytest.mark.parametrize("jit_compile", [True, False], ids=["xla", "graph"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("make", [functional, subclassed])
def test_weights_and_history(make, optimizer, jit_compile):
    ours, history = trained(make, Model, OPTIMIZERS[optimizer], jit_compile, metrics=["accuracy"])
    theirs, expected = of_keras(make, optimizer)
    assert largest_difference(ours, theirs) < 1e-5
    assert history.keys() == expected.keys() == {"loss", "accuracy"}
    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], atol=1e-5)


@pytest.mark.parametrize("option", OPTIONS)
def test_optimizer_options(option):
    rows = 8 if option == "accumulation" else 10  # Keras averages batches, whatever their sizes
    ours, _ = trained(dense, Model, OPTIONS[option], True, x=X[:rows], y=Y[:rows])
    theirs, _ = trained(dense, keras.Model, OPTIONS[option], False, x=X[:rows], y=Y[:rows])
    assert largest_difference(ours, theirs) < 1e-5
    if option != "loss_scaling":
        assert largest_difference(ours, plain(dense)) > 1e-3, "the option did nothing"


@pytest.mark.parametrize("jit_compile", [True, False], ids=["xla", "graph"])
def test_accumulated_batches_are_weighted_by_their_rows(jit_compile):
    """Batches of 8 and of 2 rows, accumulated, are one batch of 10."""
    accumulating = functools.partial(keras.optimizers.Adam, 0.05, gradient_accumulation_steps=2, clipnorm=0.1)
    ours, _ = trained(dense, Model, accumulating, jit_compile, batch_size=8, epochs=3)
    whole, _ = trained(
        dense, Model, functools.partial(keras.optimizers.Adam, 0.05, clipnorm=0.1), False, batch_size=10, epochs=3
    )
    assert largest_difference(ours, whole) < 1e-5
    assert float(ours.optimizer.accumulated_weight) == 0


@pytest.mark.parametrize(
    "weights",
    [
        {"sample_weight": np.linspace(0, 2, 10).astype("float32")},
        {"class_weight": {0: 0.2, 1: 1.0, 2: 3.0}},
    ],
    ids=["sample_weight", "class_weight"],
)
def test_weighted(weights):
    ours, history = trained(dense, Model, SGD, True, **weights)
    theirs, expected = trained(dense, keras.Model, SGD, False, **weights)
    assert largest_difference(ours, theirs) < 1e-5
    assert largest_difference(ours, plain(dense)) > 1e-3
    np.testing.assert_allclose(history["loss"], expected["loss"], atol=1e-5)


def test_validation_and_eager():
    for options in ({"validation_data": (X[:6], Y[:6])}, {"validation_split": 0.3}):
        _, history = trained(dense, Model, SGD, True, **options)
        _, expected = trained(dense, keras.Model, SGD, False, **options)
        np.testing.assert_allclose(history["val_loss"], expected["val_loss"], atol=1e-5)
    model = dense(Model)
    model.compile(SGD(), "mse", run_eagerly=True)
    model.fit(X, np.zeros((10, 3)), batch_size=4, verbose=0)


def test_eager_code_may_use_numpy():
    losses = []
    for model_class in (Model, keras.Model):

        class Eager(model_class):
            def __init__(self):
                super().__init__()
                self.logits = keras.layers.Dense(3, kernel_initializer="ones")

            def call(self, x):
                return self.logits(tf.constant(x.numpy().mean(axis=1)))

        model = Eager()
        model.compile(SGD(), "mse", run_eagerly=True)
        losses.append(model.fit(X, np.zeros((10, 3)), batch_size=4, shuffle=False, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, atol=1e-5)


def test_train_on_batch():
    models = [dense(model_class) for model_class in (Model, keras.Model)]
    models[0].set_weights(models[1].get_weights())
    for model in models:
        model.compile(SGD(), "mse")
        model.train_on_batch(X, np.zeros((10, 3)))
    assert largest_difference(*models) < 1e-5


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch", "predict_on_batch"])
def test_a_batch_that_fails_on_several_workers_explains_the_failure(monkeypatch, method):
    def out_of_step(*args, **kwargs):
        raise tf.errors.InvalidArgumentError(None, None, "OutOfStepError: worker 1 hands over other arrays")

    monkeypatch.setattr(keras.Model, method, out_of_step)
    with pytest.raises(RuntimeError, match="The workers are not at the same step"):
        getattr(dense(Model), method)(X)


def test_several_inputs_and_outputs():
    def two(model_class):
        a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
        both = keras.layers.Add()([a, b])
        return model_class({"a": a, "b": b}, [keras.layers.Dense(1)(both), keras.layers.Dense(2)(a)])

    x, y = {"a": X[:, 0], "b": X[:, 1]}, [X[:, 0, :1], X[:, 0, :2]]
    options = dict(x=x, y=y, loss=["mse", "mae"])
    ours, _ = trained(two, Model, SGD, True, **options)
    theirs, _ = trained(two, keras.Model, SGD, False, **options)
    assert largest_difference(ours, theirs) < 1e-5


def test_an_own_train_step_runs_on_one_device():
    class Own(Model):
        def train_step(self, data):
            logs = super().train_step(data)
            return {**logs, "mine": keras.ops.convert_to_tensor(7.0)}

    ours, history = trained(dense, Own, SGD, True)
    assert history["mine"] == [7.0, 7.0]
    assert largest_difference(ours, plain(dense)) < 1e-5


def test_a_model_without_trainable_weights_warns():
    class Forgetful(Model):
        def build(self, _):
            self.forgotten = self.add_weight(shape=(), name="forgotten")
            self.used = self.add_weight(shape=(), name="used")

        def call(self, x):
            return x * self.used

    model = Forgetful()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['forgetful.*forgotten'\]"):
        model.fit(X[:4, 0], Y[:4], verbose=0)


def test_a_functional_model_does_not_change_the_class():
    for make in (dense, subclassed, dense):
        assert isinstance(make(Model), Model)
