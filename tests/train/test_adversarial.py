"""Adversarial training against NumPy: a classifier whose gradients by embeddings and weights are known.

`tests/support/equality_cases.py` compares replicas and workers with one device.
"""

import keras
import numpy as np
import pytest

import tfpar

ROWS, TIME, VOCABULARY, FEATURES, EPSILON = 6, 5, 7, 3, 0.8
RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(1, VOCABULARY, (ROWS, TIME)).astype("int32")
Y = RANDOM.normal(size=(ROWS, 1)).astype("float32")


def make(weight=1.0, epsilon=EPSILON, model_class=tfpar.train.AdversarialModel):
    keras.utils.set_random_seed(1)
    tokens = keras.Input((TIME,), dtype="int32")
    x = keras.layers.Embedding(VOCABULARY, FEATURES, embeddings_initializer="normal")(tokens)
    x = tfpar.train.AdversarialStep(epsilon)(x)
    model = model_class(tokens, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x)))
    model.adversarial_weight = weight
    return model


def train(model, jit_compile=True, lanes=1, **options):
    model.lanes = lanes
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=jit_compile)
    return model.fit(TOKENS, Y, batch_size=ROWS, shuffle=False, verbose=0, **options).history


def expected_gradients(table, w, b, weight):
    """Mean gradients of (y - w . mean(e) - b)^2, plus `weight` times those at e + EPSILON g / |g|, g by e."""
    total = [np.zeros_like(table), np.zeros_like(w), np.zeros_like(b)]
    for tokens, y in zip(TOKENS, Y, strict=True):
        embeddings = table[tokens]
        error = 2 * (embeddings.mean(0) @ w + b - y)
        by_embeddings = np.tile(error * w[:, 0] / TIME, (TIME, 1))
        moved = embeddings + EPSILON * by_embeddings / np.linalg.norm(by_embeddings)
        for factor, e in ((1, embeddings), (weight, moved)):
            error = 2 * (e.mean(0) @ w + b - y)
            np.add.at(total[0], tokens, factor * error * w[:, 0] / TIME)
            total[1] += factor * e.mean(0)[:, None] * error
            total[2] += factor * error
    return [gradient / ROWS for gradient in total]


@pytest.mark.parametrize("options", [{}, {"jit_compile": False}, {"lanes": 2}], ids=["xla", "graph", "lanes"])
def test_gradients_equal_those_in_numpy(options):
    model = make(weight=0.5)
    start = [v.numpy() for v in model.trainable_variables]
    loss = train(model, **options)["loss"][0]
    prediction = start[0][TOKENS].mean(1) @ start[1] + start[2]
    assert loss == pytest.approx(np.mean((prediction - Y) ** 2), rel=1e-4), "that of the unperturbed pass"
    expected = expected_gradients(*start, weight=0.5)
    for before, variable, gradient in zip(start, model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(before - variable.numpy(), gradient, rtol=1e-4, atol=1e-5)


def test_a_weight_of_zero_trains_as_an_ordinary_model():
    adversarial, ordinary = make(weight=0.0), make(model_class=tfpar.train.Model)
    for model in (adversarial, ordinary):
        train(model, epochs=3)
    for found, expected in zip(adversarial.get_weights(), ordinary.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_predictions_are_not_perturbed():
    model = make()
    expected = model.predict(TOKENS, verbose=0)
    small = make(epsilon=1e-9)
    np.testing.assert_array_equal(small.predict(TOKENS, verbose=0), expected)


def test_masks_pass_the_layer():
    """Padding has no effect on a recurrent layer behind it."""
    keras.utils.set_random_seed(1)
    tokens = keras.Input((None,), dtype="int32")
    x = tfpar.train.AdversarialStep(1.0)(keras.layers.Embedding(VOCABULARY, FEATURES, mask_zero=True)(tokens))
    model = keras.Model(tokens, tfpar.layers.GRU(2)(x))
    np.testing.assert_allclose(model(np.pad(TOKENS, [(0, 0), (0, 3)])), model(TOKENS), rtol=1e-5)


def test_it_is_saved(tmp_path):
    model = make()
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, tfpar.train.AdversarialModel)
    np.testing.assert_allclose(loaded.predict(TOKENS, verbose=0), model.predict(TOKENS, verbose=0), rtol=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="`epsilon` must be a positive number; got 0"):
        tfpar.train.AdversarialStep(0)
    x = keras.Input((3,))
    model = tfpar.train.AdversarialModel(x, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse", jit_compile=False)
    with pytest.raises(ValueError, match="must have an AdversarialStep layer"):
        model.fit(np.zeros((2, 3)), np.zeros((2, 1)), verbose=0)
