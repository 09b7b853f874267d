"""Loss and accuracy of a ensemble."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import largest_difference

from tfpar.tasks.text_classification import EnsembleAccuracy, EnsembleCrossentropy
from tfpar.train import Model

LOGITS = np.random.default_rng(0).normal(size=(6, 3, 4)).astype("float32")
CLASSES = np.array([0, 1, 2, 3, 0, 1])
WEIGHTS = np.array([1, 0, 2, 0.5, 0, 1], "float32")


def members_mean(label_smoothing=0.0):
    """The mean over members of Keras' own cross-entropies, for each row."""
    own = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing, reduction=None)
    return np.mean([own(np.eye(4)[CLASSES], LOGITS[:, member]) for member in range(3)], axis=0)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_is_the_mean_of_the_members_own_losses(label_smoothing):
    loss, rows = EnsembleCrossentropy(label_smoothing), members_mean(label_smoothing)
    assert float(loss(CLASSES, LOGITS)) == pytest.approx(rows.mean(), abs=1e-6)
    assert float(loss(CLASSES[:, None], LOGITS)) == pytest.approx(rows.mean(), abs=1e-6)
    assert float(loss(CLASSES, LOGITS, WEIGHTS)) == pytest.approx((rows * WEIGHTS).sum() / WEIGHTS.sum(), abs=1e-6)


def test_the_gradient_of_a_member_is_its_own():
    logits, other = tf.constant(LOGITS), tf.constant(np.concatenate([LOGITS[:, :1], 3 * LOGITS[:, 1:]], axis=1))
    gradients = []
    for given in (logits, other):
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = EnsembleCrossentropy()(CLASSES, given)
        gradients.append(tape.gradient(loss, given)[:, 0])
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-7)


def test_accuracy_asks_for_the_mean_probability():
    confident = np.array([[[9.0, 0], [0, 1], [0, 1]]], "float32")  # Two of three vote for class 1, without conviction.
    metric = EnsembleAccuracy()
    metric.update_state([0], confident)
    assert float(metric.result()) == 1
    metric.update_state([1, 1], np.concatenate([confident, -confident]), sample_weight=[0, 3])
    assert float(metric.result()) == 1
    metric.update_state([1], confident, sample_weight=[4])
    assert float(metric.result()) == 0.5


def test_accuracy_where_the_number_of_rows_is_not_known():
    """As on a replica, whose share may be short: of the predictions it is known and of the labels it is not."""
    metric = EnsembleAccuracy()
    signature = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((6, 3, 4)), tf.TensorSpec((None,))]
    tf.function(metric.update_state, input_signature=signature)(CLASSES.astype("int32"), LOGITS, WEIGHTS)
    expected = EnsembleAccuracy()
    expected.update_state(CLASSES, LOGITS, WEIGHTS)
    assert float(metric.result()) == pytest.approx(float(expected.result()))


@pytest.mark.parametrize("jit_compile", [True, False], ids=["xla", "graph"])
def test_rows_of_weight_zero_change_nothing(jit_compile):
    """Neither weights, nor loss, nor accuracy."""
    x = np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
    y = np.arange(8) % 3
    filled_x = np.concatenate([x[:4], 100 * x[:2], x[4:], 100 * x[:2]])
    filled_y = np.concatenate([y[:4], [0, 0], y[4:], [1, 1]])
    weights = np.array([1, 1, 1, 1, 0, 0] * 2, "float32")

    def run(x, y, batch_size, sample_weight):
        keras.utils.set_random_seed(3)
        inputs = keras.Input((4,))
        model = Model(inputs, keras.layers.Reshape((2, 3))(keras.layers.Dense(6)(inputs)))
        metrics = {"weighted_metrics": [EnsembleAccuracy()]}
        model.compile(keras.optimizers.SGD(0.1), EnsembleCrossentropy(), **metrics, jit_compile=jit_compile)
        fit = model.fit(x, y, sample_weight=sample_weight, batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
        evaluated = model.evaluate(x, y, batch_size, sample_weight=sample_weight, verbose=0, return_dict=True)
        return model, {**fit.history, **{f"val_{name}": [value] for name, value in evaluated.items()}}

    plain, history = run(x, y, 4, np.ones(8, "float32"))
    filled, filled_history = run(filled_x, filled_y, 6, weights)
    assert largest_difference(plain, filled) < 1e-6
    for name, values in history.items():
        np.testing.assert_allclose(filled_history[name], values, atol=1e-5)


def test_configurations():
    for made in (EnsembleCrossentropy(0.2, name="mine"), EnsembleAccuracy("mine")):
        assert type(made).from_config(made.get_config()).get_config() == made.get_config()
