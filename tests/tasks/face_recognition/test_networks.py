"""Embedders of which nothing is trained, what whitening does, and what stands on embedders."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.tasks.face_recognition import (
    gabor_embedder,
    joined_embedder,
    nearest_mean_classifier,
    within_class_whitening,
)

GENERATOR = np.random.default_rng(0)


def normalized(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def images(shape, count=6):
    return GENERATOR.integers(0, 256, (count, *shape)).astype(np.float32)


def test_whitening_leaves_one_variance_within_classes():
    labels = np.repeat(np.arange(40), 25)
    mixing = GENERATOR.normal(size=(5, 5))
    features = 3 * GENERATOR.normal(size=(40, 5))[labels] + GENERATOR.normal(size=(1000, 5)) @ mixing
    mean, matrix = within_class_whitening(features, labels, shrinkage=0.0)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5)
    whitened = (features - mean) @ matrix
    within = whitened - np.stack([whitened[labels == c].mean(axis=0) for c in range(40)])[labels]
    np.testing.assert_allclose(within.T @ within / 1000, np.eye(5), atol=1e-4)

    _, shrunk = within_class_whitening(features, labels, shrinkage=1e6)
    np.testing.assert_allclose(shrunk.T @ shrunk, shrunk[:, :1].T @ shrunk[:, :1] * np.eye(5), atol=1e-8)


def test_classes_of_one_example_whiten_nothing():
    _, matrix = within_class_whitening(GENERATOR.normal(size=(4, 3)), np.arange(4), shrinkage=1.0)
    np.testing.assert_allclose(np.abs(matrix), np.eye(3))


@pytest.mark.parametrize("shape", [(40, 33, 1), (24, 24, 3), (80, 30, 1)])
def test_gabor_embedder_takes_images_of_any_size(shape, tmp_path):
    given, labels = images(shape), np.array([0, 0, 1, 1, 2, 2])
    plain = gabor_embedder(shape).predict(given, verbose=0)
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1, atol=1e-5)

    mean, matrix = within_class_whitening(plain, labels)
    embedder = gabor_embedder(shape, mean, matrix)
    found = embedder.predict(given, verbose=0)
    np.testing.assert_allclose(found, normalized((plain - mean) @ matrix), rtol=1e-3, atol=1e-4)

    embedder.save(tmp_path / "embedder.keras")
    loaded = keras.saving.load_model(tmp_path / "embedder.keras")
    np.testing.assert_allclose(loaded.predict(given, verbose=0), found, atol=1e-5)
    report = tfpar.export.tflite(embedder, tmp_path / "embedder.tflite", calibration={"image": given})
    assert report["max_abs_error"] < 1e-5


def test_the_cosine_of_a_joined_embedder_is_a_mean():
    shape, weight = (24, 24, 1), 0.5
    image = keras.Input(shape, name="image")
    pixels = keras.layers.UnitNormalization()(keras.layers.Flatten()(image))
    first, other = gabor_embedder(shape), keras.Model(image, pixels)
    given = images(shape)
    joined, one, two = (m.predict(given, verbose=0) for m in (joined_embedder(first, other, weight), first, other))
    expected = (one @ one.T + weight**2 * two @ two.T) / (1 + weight**2)
    np.testing.assert_allclose(joined @ joined.T, expected, atol=1e-5)


def test_the_nearest_mean_is_that_of_the_class():
    image = keras.Input((3,), name="image")
    embedder = keras.Model(image, keras.layers.UnitNormalization()(image))
    embeddings = normalized(np.array([[9, 1, 0], [9, -1, 0], [0, 1, 9], [0, 1, 8]], np.float32))
    classifier = nearest_mean_classifier(embedder, embeddings, np.array([1, 1, 0, 0]))
    cosines = classifier.predict(np.array([[2, 0, 0], [0, 0, 3]], np.float32), verbose=0)
    np.testing.assert_allclose(cosines[0], [0, 1], atol=1e-5)
    assert cosines.argmax(axis=1).tolist() == [1, 0]
