"""Recognizers: shapes, what a stream sees, and what is refused."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.tasks.speech_recognition import speech_recognizer
from tfpar.tasks.speech_recognition.load import generate_speech
from tfpar.tasks.speech_recognition.stream_speed import stream

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


@pytest.fixture(scope="module")
def spotter(tmp_path_factory):
    """A streaming recognizer whose statistics are those of sounds, its float32 file, and the sounds: (clips, 8000)."""
    sounds = generate_speech(train=8).train.center()
    keras.utils.set_random_seed(0)
    options = dict(samples=8000, num_classes=4, width=2, units=6, augment=False, dropout=0.0)
    logits = speech_recognizer(model="cnn_lstm", streaming=True, **options)
    frames = sounds.reshape(len(sounds), -1, logits.input_shape[-1])
    for _ in range(20):
        logits(frames, training=True)  # moving statistics of batch normalization
    model = keras.Model(logits.input, keras.layers.Softmax(name="probabilities")(logits.output))
    path = tmp_path_factory.mktemp("spotter") / "model.tflite"
    report = tfpar.export.tflite(model, path, calibration={"audio": frames}, streaming=True)
    return model, path, report, sounds


def test_a_keyword_spotter_streams_from_audio_to_scores(spotter):
    model, path, report, sounds = spotter
    assert report["signatures"] == ["serving_default", "step"] and report["max_abs_error"] < 1e-5
    step = tfpar.export.TFLiteModel(path, "step")
    assert set(step.inputs) == {
        *("audio", "log_mel_history", "recurrent_h", "recurrent_c"),
        *(f"causal_conv_{number}_history" for number in range(3)),
    }
    assert "WHILE" not in step.operations
    samples = np.prod(step.inputs["audio"][0])
    assert samples == 320  # 40 ms: a block of four frames
    states = {name: np.zeros(shape, "float32") for name, (shape, _) in step.inputs.items() if name != "audio"}
    scores = []
    for block in sounds[0].reshape(-1, *step.inputs["audio"][0]):
        results = step(audio=block, **states)
        states = {name: results[name] for name in states}
        scores.append(results["probabilities"])
    assert np.ptp(scores, axis=0).max() > 1e-2  # they follow the sound
    for count in (1, 7, 25):
        heard = sounds[:1, : count * samples].reshape(1, -1, model.input_shape[-1])
        np.testing.assert_allclose(scores[count - 1], model(heard), atol=1e-5)
    np.testing.assert_allclose(stream(step, sounds[0].reshape(100, -1)), scores[-1][0], atol=1e-6)


def test_later_sound_does_not_change_earlier_scores(spotter):
    model, _, _, sounds = spotter
    inputs = keras.Model(model.input, model.get_layer("causal_conv_2_relu").output)
    frames = sounds[:1].reshape(1, 100, -1)
    changed = np.concatenate([frames[:, :60], -3 * frames[:, 60:] + 0.1], axis=1)
    before, after = inputs(frames), inputs(changed)
    np.testing.assert_array_equal(before[:, :15], after[:, :15])
    assert np.abs(before[:, 15:] - after[:, 15:]).max() > 1e-3


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
        ({"model": "cnn_lstm", "streaming": True, "strings": True}, "what is still to come"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        speech_recognizer(**{**SMALL, **arguments})
