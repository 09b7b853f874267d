"""The margin loss: its equations, its smoothness, and that parts of a batch add up."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpar
from tfpar.tasks.face_recognition import MarginCrossentropy
from tfpar.train import SmoothedCrossentropy

LABELS = np.array([0, 2, 1], np.int32)
COSINES = np.array([[0.9, 0.1, -0.3], [0.2, 0.4, -0.5], [0.0, 0.3, 0.8]], np.float32)


def cross_entropy(logits, smoothing=0.0):
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.eye(3)[LABELS] * (1 - smoothing) + smoothing / 3
    return -(target * np.log(probabilities)).sum(axis=1).mean()


def narrowed(change):
    logits = COSINES.astype(float).copy()
    for row, label in enumerate(LABELS):
        logits[row, label] = change(logits[row, label])
    return logits


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_without_a_margin_it_is_the_cross_entropy(smoothing):
    expected = cross_entropy(COSINES, smoothing)
    for loss in (SmoothedCrossentropy(smoothing), MarginCrossentropy(1.0, label_smoothing=smoothing)):
        assert float(loss(LABELS, COSINES)) == pytest.approx(expected, rel=1e-5)


def test_a_margin_on_the_cosine():
    expected = cross_entropy(10 * narrowed(lambda cosine: cosine - 0.3))
    assert float(MarginCrossentropy(10.0, cosine=0.3)(LABELS, COSINES)) == pytest.approx(expected, rel=1e-5)


def test_a_margin_on_the_angle():
    expected = cross_entropy(10 * narrowed(lambda cosine: math.cos(math.acos(cosine) + 0.4)))
    assert float(MarginCrossentropy(10.0, angle=0.4)(LABELS, COSINES)) == pytest.approx(expected, rel=1e-4)


def test_the_loss_falls_all_the_way_as_the_angle_does():
    loss, cosines = MarginCrossentropy(4.0, angle=0.5), np.linspace(-1, 1, 400, dtype=np.float32)
    rows = tf.stack([cosines, tf.zeros_like(cosines)], axis=1)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        values = loss.call(np.zeros(400, np.int32), rows)
    assert (np.diff(values) < 0).all() and np.abs(np.diff(values)).max() < 0.5
    assert np.isfinite(tape.gradient(values, rows)).all()


def test_rows_of_weight_zero_count_for_nothing():
    loss = MarginCrossentropy(10.0, angle=0.2, cosine=0.1)
    all_three = loss(LABELS, COSINES, sample_weight=np.array([1, 0, 1], np.float32))
    assert float(all_three) == pytest.approx(float(loss(LABELS[[0, 2]], COSINES[[0, 2]])), rel=1e-5)


@pytest.mark.parametrize("wrong", [dict(scale=0.0), dict(angle=-0.1), dict(angle=2.0), dict(cosine=1.0)])
def test_margins_that_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
        MarginCrossentropy(**wrong)


def test_it_comes_back_from_its_config():
    loss = MarginCrossentropy(10.0, 0.2, 0.1, label_smoothing=0.05)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(again(LABELS, COSINES)) == float(loss(LABELS, COSINES))


def test_two_lanes_train_what_one_does():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(12, 5)).astype("float32"), random.integers(0, 4, 12).astype("int32")
    weights = np.array([1] * 9 + [0] * 3, np.float32)  # lanes of unequal weight

    def trained(lanes):
        inputs = keras.Input((5,))
        embedding = keras.layers.UnitNormalization()(keras.layers.Dense(3, kernel_initializer="ones")(inputs))
        model = tfpar.train.Model(inputs, tfpar.tasks.face_recognition.CosineLogits(4, seed=1)(embedding))
        model.lanes = lanes
        model.compile(keras.optimizers.SGD(0.1), MarginCrossentropy(8.0, angle=0.3), jit_compile=False)
        model.fit(x, y, sample_weight=weights, batch_size=12, epochs=3, shuffle=False, verbose=0)
        return model.get_weights()

    for one, two in zip(trained(1), trained(2), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
