"""Recognizers: shapes, what a stream sees, and what is refused."""

import numpy as np
import pytest

from tfpar.tasks.speech_recognition import speech_recognizer

SMALL = dict(samples=1600, num_classes=5, width=2, units=4)


def audio(*shape):
    return np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)


@pytest.mark.parametrize("model", ["cnn", "lstm", "cnn_lstm"])
def test_a_word_has_logits_and_a_string_has_them_step_by_step(model):
    assert speech_recognizer(model=model, **SMALL)(audio(2, 1600)).shape == (2, 5)
    strings = speech_recognizer(model=model, strings=True, **SMALL)(audio(2, 1600))
    assert strings.shape == (2, 9 if model == "lstm" else 5, 6)  # of 18 frames of 10 ms


@pytest.mark.parametrize("model", ["cnn", "lstm", "cnn_lstm"])
def test_strings_of_any_length_are_answered_as_those_of_one(model):
    fixed = speech_recognizer(model=model, strings=True, **SMALL)
    free = speech_recognizer(model=model, strings=True, **{**SMALL, "samples": None})
    free.set_weights(fixed.get_weights())
    np.testing.assert_allclose(free(audio(2, 1600)), fixed(audio(2, 1600)), atol=1e-6)
    assert free(audio(2, 3200)).shape[1] > fixed(audio(2, 1600)).shape[1]


def test_gain_makes_no_difference():
    model = speech_recognizer(**SMALL)
    np.testing.assert_allclose(model(0.1 * audio(2, 1600)), model(audio(2, 1600)), atol=1e-3)


def test_the_seed_makes_the_weights():
    first, again, other = (speech_recognizer(model="cnn_lstm", seed=seed, **SMALL).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_stream_may_be_of_any_length():
    model = speech_recognizer(model="lstm", streaming=True, **SMALL)
    assert model(audio(2, 7, 160)).shape == (2, 5) and model(audio(1, 20, 160)).shape == (1, 5)


def test_distortion_is_for_training_alone():
    model = speech_recognizer(dropout=0.0, **SMALL)
    still = speech_recognizer(dropout=0.0, augment=False, **SMALL)
    assert "augmentation" in [layer.name for layer in model.layers]
    assert "augmentation" not in [layer.name for layer in still.layers]
    np.testing.assert_array_equal(model(audio(2, 1600)), model(audio(2, 1600)))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"model": "transformer"}, "`model`"),
        ({"cell": "relu"}, "`cell`"),
        ({"width": 0}, "`width`"),
        ({"samples": None}, "`samples`"),
        ({"samples": 0, "strings": True}, "`samples`"),
        ({"model": "cnn", "streaming": True}, "what is still to come"),
        ({"model": "lstm", "streaming": True, "strings": True}, "what is still to come"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        speech_recognizer(**{**SMALL, **arguments})
