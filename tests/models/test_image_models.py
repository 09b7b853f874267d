"""Image networks: outputs, training, saving, export."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.data import generate_image_classification, image_batches
from tfpar.models import denoising_autoencoder, image_classifier
from tfpar.tasks.face_recognition import face_embedder, without_projection_head
from tfpar.tasks.image_classification import mean_over_views

SMALL = dict(image_shape=(8, 8, 1), width=4, units=6, mean=70.0, deviation=90.0, seed=1)
KINDS = ["cnn", "row_lstm", "cnn_lstm"]
DATA = generate_image_classification(shape=(8, 8, 1), train=32)


def batches():
    return image_batches(DATA.train, batch_size=16, shuffle=True)


def trained(outputs, inputs, loss, epochs=1, lanes=1):
    model = tfpar.train.Model(inputs, outputs)
    model.lanes = lanes
    model.compile(keras.optimizers.Adam(0.01), loss, weighted_metrics=["accuracy"], jit_compile=False)
    history = model.fit(batches(), epochs=epochs, verbose=0).history
    return model, history


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_learns_is_saved_and_exported(kind, tmp_path):
    classifier = image_classifier(kind, num_classes=4, hidden=16, dropout_rate=0.1, **SMALL)
    assert classifier.output_shape == (None, 4)
    loss = tfpar.train.SmoothedCrossentropy(label_smoothing=0.1)
    model, history = trained(classifier.output, classifier.input, loss, epochs=25)
    assert history["loss"][-1] < 0.8 * history["loss"][0]

    images = DATA.test.images.astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5)

    report = tfpar.export.tflite(model, tmp_path / "model.tflite", calibration=batches())
    assert report["max_abs_error"] < 1e-5
    assert ("UNIDIRECTIONAL_SEQUENCE_LSTM" in report["ops"]) == (kind != "cnn")


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_over_views_of_a_classifier(kind, tmp_path):
    classifier = image_classifier(kind, num_classes=4, hidden=16, **SMALL)
    averaged = mean_over_views(classifier)
    images = DATA.test.images[:3].astype("float32")
    logits = classifier.predict(tfpar.tasks.image_classification.ShiftedViews()(images), verbose=0).reshape(5, 3, 4)
    by_view = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    predictions = averaged.predict(images, verbose=0)
    np.testing.assert_allclose(predictions, by_view.mean(axis=0), atol=1e-6)
    assert np.abs(predictions - by_view[0]).max() > 1e-4  # predictions differ between the views

    report = tfpar.export.tflite(averaged, tmp_path / "model.tflite", calibration=batches())
    assert report["max_abs_error"] < 1e-5
    assert ("UNIDIRECTIONAL_SEQUENCE_LSTM" in report["ops"]) == (kind != "cnn")
    classifier.get_layer("logits").bias.assign([9.0, 0.0, 0.0, 0.0])  # the layers are the classifier's
    assert (averaged.predict(images, verbose=0).argmax(axis=-1) == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_embedder_gives_directions_and_trains(kind):
    embedder = face_embedder(kind, embedding_size=5, **SMALL)
    lengths = np.linalg.norm(embedder.predict(DATA.test.images.astype("float32"), verbose=0), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    cosines = tfpar.tasks.face_recognition.CosineLogits(4, seed=1)(embedder.output)
    loss = tfpar.tasks.face_recognition.MarginCrossentropy(8.0, cosine=0.2)
    _, history = trained(cosines, embedder.input, loss, epochs=25)
    assert history["loss"][-1] < 0.8 * history["loss"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_head_an_embedder_gives_centred_features(kind, tmp_path):
    trained_with_head = face_embedder(kind, embedding_size=5, **SMALL)
    images = DATA.test.images.astype("float32")
    features = keras.Model(trained_with_head.input, trained_with_head.get_layer("dropout_features").input)
    directions = normalize(features.predict(images, verbose=0))
    np.testing.assert_allclose(
        without_projection_head(trained_with_head).predict(images, verbose=0), directions, 1e-5, 1e-5
    )
    embedder = without_projection_head(trained_with_head, directions.mean(axis=0))
    expected = normalize(directions - directions.mean(axis=0))
    np.testing.assert_allclose(embedder.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5)
    report = tfpar.export.tflite(embedder, tmp_path / "model.tflite", calibration=batches())
    assert report["max_abs_error"] < 1e-5


def normalize(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_other_cells(cell):
    classifier = image_classifier(
        "row_lstm", num_classes=3, cell=cell, bidirectional=False, recurrent_layers=2, **SMALL
    )
    assert classifier(np.zeros((2, 8, 8, 1))).shape == (2, 3)


def test_the_seed_alone_decides_the_weights():
    one, same, other = (image_classifier("cnn_lstm", num_classes=2, **{**SMALL, "seed": s}) for s in (1, 1, 2))
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_pixels_are_normalized_inside():
    model = image_classifier("cnn", num_classes=2, **SMALL)
    layer = model.get_layer("normalized")
    np.testing.assert_allclose(layer(np.array([70.0, 160.0])), [0, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(kind="mlp"), "kind='mlp'"),
        (dict(cell="lstmm"), "cell='lstmm'"),
        (dict(width=0), "width=0"),
        (dict(stages=4), "at least 16 pixels; got 8 x 8"),
        (dict(num_classes=0), "num_classes=0"),
        (dict(dropout_rate=1.0), "dropout=1.0"),
    ],
)
def test_what_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        image_classifier(**{"num_classes": 2, **SMALL, **arguments})


@pytest.mark.parametrize("kind", ["cnn", "row_lstm"])
def test_the_autoencoder_restores_images_and_starts_the_classifier(kind):
    classifier = image_classifier(kind, num_classes=4, hidden=16, dropout_rate=0.0, **SMALL)
    before = classifier.get_weights()
    built = denoising_autoencoder(classifier)
    model = tfpar.train.Model(built.input, built.output)
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    images = DATA.train.images.astype("float32")
    history = model.fit(images, images.reshape(32, -1) / 255, batch_size=16, epochs=40, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    changed = [np.abs(a - b).max() > 0 for a, b in zip(before, classifier.get_weights(), strict=True)]
    # All but the output layer's kernel and bias.
    assert changed == [True] * (len(changed) - 2) + [False] * 2
