"""`predict` and `evaluate` equal those of `keras.Model`, with XLA and without, with a smaller last batch too."""

import keras
import numpy as np
import pytest
from training import X, Y, functional

from tfpar.train import Model


@pytest.fixture(scope="module")
def expected_results():
    return compiled(keras.Model, None, False)


def compiled(model_class, weights, jit_compile):
    model = functional(model_class)
    if weights:
        model.set_weights(weights)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"], jit_compile=jit_compile)
    return model


@pytest.mark.parametrize("jit_compile", [True, False, "auto"])
def test_equal_keras(expected_results, jit_compile):
    ours = compiled(Model, expected_results.get_weights(), jit_compile)
    answers = [model.predict(X, batch_size=4, verbose=0) for model in (ours, expected_results)]
    assert answers[0].shape == (10, 3)
    np.testing.assert_allclose(*answers, atol=1e-6)
    weights = np.linspace(0, 1, 10).astype("float32")
    for more in ({}, {"sample_weight": weights}):
        results = [
            m.evaluate(X, Y, batch_size=4, verbose=0, return_dict=True, **more) for m in (ours, expected_results)
        ]
        assert results[0] == pytest.approx(results[1], abs=1e-5)


def test_auto_means_xla_where_layers_support_it():
    model = compiled(Model, None, "auto")
    assert model.jit_compile is True
    x = keras.Input((4,))
    unable = keras.layers.Dense(1)
    unable.supports_jit = False
    model = Model(x, unable(x))
    model.compile("sgd", "mse", jit_compile="auto")
    assert model.jit_compile is False


def test_save_and_load(tmp_path):
    model = compiled(Model, None, True)
    model.fit(X, Y, batch_size=5, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, Model) and loaded.jit_compile is True
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    loaded.fit(X, Y, batch_size=5, verbose=0)
    assert loaded.optimizer.iterations == 4
