"""recipes/speech.py: what it prints, trains, leaves and refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfpar.data.wav import read_wav, write_wav
from tfpar.export.bundle.directory import Bundle
from tfpar.tasks.evaluation import evaluate
from tfpar.tasks.speech_recognition.clips import fit_length
from tfpar.tasks.speech_recognition.transcripts import measure_string_errors

KEYS = {
    "recipe", "dataset", "cell", "strategy", "replicas", "xla", "examples", "metrics", "train_seconds", "skipped_steps",
    "examples_per_second", "epochs", "compilations", "padding_fraction", "weights_abs_sum", "exports", "model",
    "task", "streaming",
}  # fmt: skip

PREDICT = """
import sys
from tfpar.cli import main
sys.argv = ["tfpar", "predict", *sys.argv[1:]]
main.main()
assert not {"tensorflow", "keras", "matplotlib", "scipy"} & set(sys.modules)
"""


def predict(export, *inputs):
    command = [sys.executable, "-c", PREDICT, export, *inputs]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def tone(hertz, rate_hz, seconds=0.3):
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    return 0.5 * np.sin(2 * np.pi * hertz * time_s) * np.hanning(len(time_s))


def test_a_recogniser_is_trained_left_and_asked(run_recipe, tmp_path):
    left = tmp_path / "left"
    run = run_recipe("speech", "--smoke", "--noaugment", "--noxla", "--export_dir", left, "--export", "float32,int8")
    result = run.result
    assert KEYS <= set(result) and run.stdout == json.dumps(result) + "\n"
    assert (result["recipe"], result["dataset"], result["model"]) == ("speech", "generated", "cnn_lstm")
    assert result["examples"] == {"train": 32, "validation": 8, "test": 8} and result["examples_per_second"] > 0
    float32, int8 = result["exports"]
    assert float32["max_abs_error"] <= 1e-5
    assert "QUANTIZE" in int8["ops"] and "LOG" in int8["ops"]
    assert float32["metrics"]["accuracy"] == pytest.approx(result["metrics"]["accuracy"])
    manifest = json.loads((left / "manifest.json").read_text())
    assert (manifest["task"], manifest["rate_hz"], manifest["samples"]) == ("speech", 8000, 8000)
    assert (left / "labels.txt").read_text().split() == ["zero", "one", "two", "three"]
    assert manifest["signatures"]["float32"]["serving_default"]["inputs"][0]["shape"] == [1, 8000]
    check_answers(left, tmp_path)


def check_answers(left, tmp_path):
    """One sound at two rates, one of them with two channels; silence; what is no sound."""
    write_wav(tmp_path / "a.wav", tone(800, 8000), 8000)
    write_wav(tmp_path / "b.wav", tone(800, 44_100), 44_100)
    write_wav(tmp_path / "silent.wav", np.zeros(800), 8000)
    done = predict(left, *(tmp_path / name for name in ("a.wav", "b.wav", "silent.wav")))
    assert done.returncode == 0, done.stderr
    first, second, silent = json.loads(done.stdout)["predictions"]
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    for name, probability in first["probabilities"].items():
        assert second["probabilities"][name] == pytest.approx(probability, abs=0.05)
    assert silent["label"] is None
    (tmp_path / "bad.wav").write_text("no sound")
    done = predict(left, tmp_path / "bad.wav")
    assert done.returncode == 1 and "is not a WAV file" in json.loads(done.stdout)["predictions"][0]["error"]
    assert "is not a WAV file" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lstm", "cnn_lstm"])
def test_a_stream_answers_step_by_step(run_recipe, tmp_path, model):
    from tfpar.export.conversion.interpreter import TFLiteModel
    from tfpar.tasks.speech_recognition.stream_speed import stream

    left = tmp_path / "left"
    flags = ("--model", model, "--streaming", "--noxla", "--export_dir", left, "--export", "float32,dynamic")
    result = run_recipe("speech", "--smoke", *flags).result
    float32, dynamic = result["exports"]
    assert float32["signatures"] == ["serving_default", "step"] and float32["max_abs_error"] <= 1e-4
    assert float32["real_time_factor"] > 50 and dynamic["real_time_factor"] > 50
    frames = tone(800, 8000, seconds=1.0).astype(np.float32).reshape(-1, 160 if model == "lstm" else 80)
    whole = TFLiteModel(left / "model.float32.tflite")(audio=frames[None])["probabilities"][0]
    np.testing.assert_allclose(stream(TFLiteModel(left / "model.float32.tflite", "step"), frames), whole, atol=1e-4)


@pytest.mark.slow
def test_a_chip_hears(run_recipe, tmp_path):
    left = tmp_path / "left"
    flags = ("--model", "lstm", "--streaming", "--target", "micro", "--export", "saved_model,int8")
    result = run_recipe("speech", "--smoke", *flags, "--noxla", "--export_dir", left).result
    report = result["exports"][-1]
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in report["ops"] and report["micro_max_abs_error"] < 0.05
    manifest = json.loads((left / "manifest.json").read_text())
    assert manifest["signatures"]["int8"]["serving_default"]["inputs"][0]["shape"] == [1, 50, 32]
    assert manifest["front_end"]["arena_bytes"] > 1000 and manifest["front_end"]["micro_max_abs_error"] < 1e-5
    names = {entry["path"] for entry in manifest["files"]}
    assert {"model.int8.cc", "model.int8.h", "front_end.cc", "front_end.h", "front_end.tflite"} < names
    assert f"{manifest['front_end']['arena_bytes']:,} bytes" in (left / "card.md").read_text()
    sound = fit_length(tone(800, 8000), 8000)
    write_wav(tmp_path / "a.wav", sound, 8000)
    (answer,) = json.loads(predict(left, tmp_path / "a.wav").stdout)["predictions"]
    saved = tf.saved_model.load(str(left / "saved_model")).signatures["serving_default"]
    expected = saved(audio=tf.constant(read_wav(tmp_path / "a.wav", 8000).reshape(1, 50, 160)))["probabilities"]
    np.testing.assert_allclose(list(answer["probabilities"].values()), expected[0], atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", ["--model lstm --cell gru --precision mixed_bfloat16", "--model cnn", "--dataset folder:clips"]
)
def test_what_can_be_trained(run_recipe, flags):
    for label, name in enumerate(("no", "yes")):
        folder = run_recipe.directory / "clips" / name
        folder.mkdir(parents=True)
        for number in range(6):
            write_wav(folder / f"{number}.wav", tone(500 + 400 * label + 7 * number, 16_000), 16_000)
    smoke = [] if "folder" in flags else ["--smoke"]
    small = ["--steps", 2, "--width", 4, "--units", 8, "--batch_size", 8, "--export", ""]
    result = run_recipe("speech", *smoke, *small, "--noxla", *flags.split()).result
    assert 0 < result["metrics"]["loss"] < 5 and result["exports"] == []
    if not smoke:
        assert result["examples"] == {"train": 8, "validation": 2, "test": 2}


@pytest.mark.slow
def test_two_replicas_train_the_same_weights_as_one(run_recipe):
    flags = ("--smoke", "--noxla", "--model", "lstm", "--seed", 3)
    one = run_recipe("speech", *flags).result
    two = run_recipe("speech", *flags, "--strategy", "mirrored", "--replicas", 2).result
    assert two["weights_abs_sum"] == pytest.approx(one["weights_abs_sum"], rel=1e-4)


@pytest.mark.slow
def test_strings_of_digits(run_recipe, tmp_path):
    left = tmp_path / "left"
    flags = ("--task", "digits", "--model", "cnn_lstm", "--export_dir", left, "--export", "float32")
    result = run_recipe("speech", "--smoke", *flags).result
    assert result["metrics"]["wer"] >= 0 and 0 <= result["metrics"]["accuracy"] <= 1
    assert result["exports"][0]["max_abs_error"] <= 1e-4
    (tmp_path / "clips").mkdir()
    write_wav(tmp_path / "a.wav", tone(800, 8000), 8000)
    (answer,) = json.loads(predict(left, tmp_path / "a.wav").stdout)["predictions"]
    assert set(answer) == {"input", "label"} and isinstance(answer["label"], str)

    for name in ("351_a", "pigs_b"):
        write_wav(tmp_path / "clips" / f"{name}.wav", tone(800, 8000), 8000)
    report = evaluate(Bundle(left), f"folder:{tmp_path / 'clips'}")
    assert report["examples"] == 1 and "is not a transcript of digits" in report["unreadable"][0]["error"]
    assert report["metrics"] == measure_string_errors(["three five one"], [answer["label"]])


@pytest.mark.parametrize(
    "flags, words",
    [
        ("--streaming --model cnn", "--streaming needs --model lstm"),
        ("--dataset folder:nowhere", "no such folder"),
        ("--dataset csv:a.csv", "expected espeak"),
        ("--dataset tfds:spoken_digit --task digits", "for --task digits"),
        ("--target micro", "--target micro needs --model lstm"),
        ("--model transformer", "--model"),
    ],
)
def test_what_is_refused(run_recipe, flags, words):
    assert words in run_recipe("speech", *flags.split(), "--export_dir", "left").error
