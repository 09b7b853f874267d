"""DP-SGD: clipped gradients of single examples against NumPy, the noise, the accountant, and refusals.

`tests/support/equality_cases.py` compares replicas and workers with one device.
"""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpar

ROWS, TIME, VOCABULARY, FEATURES = 6, 5, 7, 3
RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(0, VOCABULARY, (ROWS, TIME)).astype("int32")  # tokens repeat within a row
Y = RANDOM.normal(size=(ROWS, 1)).astype("float32")
X = RANDOM.normal(size=(ROWS, TIME, FEATURES)).astype("float32")


def make(x, outputs, privacy, jit_compile=True, lanes=1):
    model = tfpar.train.DPModel(x, outputs)
    model.privacy, model.lanes = privacy, lanes
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=jit_compile)
    return model


def bag_of_tokens(privacy, **options):
    """y = w . mean of the tokens' embeddings + b."""
    keras.utils.set_random_seed(1)
    tokens = keras.Input((TIME,), dtype="int32")
    mean = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(VOCABULARY, FEATURES)(tokens))
    return make(tokens, keras.layers.Dense(1)(mean), privacy, **options)


def recurrent(privacy, **options):
    keras.utils.set_random_seed(1)
    x = keras.Input((TIME, FEATURES))
    return make(x, keras.layers.Dense(1)(tfpar.layers.GRU(4)(x)), privacy, **options)


def trained_sum(model, x):
    """The sum of gradients by which one step of SGD, of learning rate 1, moved the weights."""
    start = [v.numpy() for v in model.trainable_variables]
    model.fit(x, Y, batch_size=ROWS, shuffle=False, verbose=0)
    pairs = zip(start, model.trainable_variables, strict=True)
    return [(before - after.numpy()) * model.privacy.batch_size for before, after in pairs]


def clipped_sum(rows, clip_norm):
    """Sum lists of gradients, one for each row, after scaling each to a norm of at most `clip_norm`."""
    norms = [math.sqrt(sum(float(np.sum(g**2)) for g in row)) for row in rows]
    assert min(norms) < clip_norm < max(norms), "both clipped and unclipped rows are wanted"
    scaled = [[g * min(1, clip_norm / norm) for g in row] for row, norm in zip(rows, norms, strict=True)]
    return [sum(gradients) for gradients in zip(*scaled, strict=True)]


@pytest.mark.parametrize("options", [{}, {"jit_compile": False}, {"lanes": 2}], ids=["xla", "graph", "lanes"])
def test_gradients_of_tokens_equal_those_in_numpy(options):
    model = bag_of_tokens(tfpar.train.DPSGD(0.5, 0, ROWS, 0), **options)
    table, w, b = (v.numpy() for v in model.trainable_variables)

    def row_gradients(tokens, y):
        mean = table[tokens].mean(0)
        error = 2 * (mean @ w + b - y)
        of_table = np.zeros_like(table)
        for token in tokens:
            of_table[token] += error * w[:, 0] / TIME
        return [of_table, mean[:, None] * error, error]

    expected = clipped_sum([row_gradients(*row) for row in zip(TOKENS, Y, strict=True)], 0.5)
    for found, sums in zip(trained_sum(model, TOKENS), expected, strict=True):
        np.testing.assert_allclose(found, sums, rtol=1e-4, atol=1e-5)


def test_gradients_of_a_recurrence_equal_those_of_batches_of_one_row():
    model = recurrent(tfpar.train.DPSGD(1.0, 0, 2 * ROWS, 0))  # sums are divided by the batch size that is expected

    def row_gradients(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x[None]) - y))
        return [g.numpy() for g in tape.gradient(loss, [v.value for v in model.trainable_variables])]

    expected = clipped_sum([row_gradients(*row) for row in zip(X, Y, strict=True)], 1.0)
    for found, sums in zip(trained_sum(model, X), expected, strict=True):
        np.testing.assert_allclose(found, sums, rtol=1e-4, atol=1e-5)


def test_noise_has_the_stated_deviation_and_differs_in_each_step_and_seed():
    def noise_of_two_steps(seed):
        x = keras.Input((200,))
        model = make(x, keras.layers.Dense(50)(x), tfpar.train.DPSGD(0.5, 3.0, 4, seed))
        zeros = np.zeros((4, 200), "float32"), np.zeros((4, 50), "float32")
        kernels = [model.get_weights()[0]]
        for _ in range(2):  # inputs of zeros have gradients of zero
            model.fit(*zeros, batch_size=4, verbose=0)
            kernels.append(model.get_weights()[0])
        return [(before - after) * 4 for before, after in zip(kernels[:-1], kernels[1:], strict=True)]

    first, second = noise_of_two_steps(1)
    for noise in (first, second):
        assert abs(noise.mean()) < 0.06 and noise.std() == pytest.approx(1.5, rel=0.03)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05
    again, _ = noise_of_two_steps(1)
    np.testing.assert_allclose(again, first, atol=1e-5)
    other, _ = noise_of_two_steps(2)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


def test_epsilon_without_sampling_equals_the_closed_form():
    """k Gaussians have the Renyi divergence alpha k / (2 sigma^2); Canonne et al. (2020) convert it to epsilon."""
    sigma, steps, delta = 4.0, 50, 1e-5
    alpha = np.linspace(1.01, 100, 100_000)
    divergence = alpha * steps / (2 * sigma**2)
    expected = np.min(divergence + np.log1p(-1 / alpha) - np.log(delta * alpha) / (alpha - 1))
    found = tfpar.train.DPSGD(1.0, sigma, 32, 0).epsilon(examples=32, steps=steps, delta=delta)
    assert found == pytest.approx(expected, rel=0.01)


def test_epsilon_falls_with_noise_and_sampling():
    def epsilon(noise_multiplier, examples):
        return tfpar.train.DPSGD(1.0, noise_multiplier, 256, 0).epsilon(examples, steps=1000, delta=1e-5)

    assert epsilon(2.0, 60_000) < epsilon(1.0, 60_000) < epsilon(1.0, 6000) < math.inf == epsilon(0, 6000)
    with pytest.raises(ValueError, match="`examples` must be 256"):
        epsilon(1.0, 100)


@pytest.mark.parametrize("changed", [{"clip_norm": 0}, {"noise_multiplier": -1}, {"batch_size": 0}, {"seed": -1}])
def test_settings_out_of_range(changed):
    with pytest.raises(ValueError, match=f"`{next(iter(changed))}` must be"):
        tfpar.train.DPSGD(**{"clip_norm": 1.0, "noise_multiplier": 1.0, "batch_size": 4, "seed": 0, **changed})


def batch_normalized(privacy):
    x = keras.Input((TIME, FEATURES))
    return make(x, keras.layers.Dense(1)(keras.layers.BatchNormalization()(x)), privacy)


REFUSED = {
    "no settings": (lambda: recurrent(None), "sgd", "`privacy` must be set before `fit`; got None"),
    "statistics": (lambda: batch_normalized(tfpar.train.DPSGD(1, 1, 6, 0)), "sgd", "BatchNormalization.*without noise"),
    "accumulation": (
        lambda: recurrent(tfpar.train.DPSGD(1, 1, 6, 0)),
        keras.optimizers.SGD(gradient_accumulation_steps=2),
        "`optimizer` must not scale losses or accumulate gradients",
    ),
    "scaling": (
        lambda: recurrent(tfpar.train.DPSGD(1, 1, 6, 0)),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
        "must not scale losses.*got LossScaleOptimizer",
    ),
}


@pytest.mark.parametrize("make_model, optimizer, words", REFUSED.values(), ids=REFUSED)
def test_training_without_privacy_is_refused(make_model, optimizer, words):
    model = make_model()
    model.compile(optimizer, "mse", jit_compile=False)
    with pytest.raises(ValueError, match=words):
        model.fit(X, np.zeros((ROWS, 1)), verbose=0)
