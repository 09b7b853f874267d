"""recipes/language_model.py: what it prints, exports and refuses, and continuations with its exports."""

import json
import math
import os
import subprocess
import sys

import pytest

from tfpar.tasks.language_modeling.synthetic import generate_language_data

WITHOUT_TENSORFLOW = """
import sys
from tfpar.cli import main
sys.argv[0] = "tfpar"
main.main()
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
TEXT = "so it goes, and so it went.\n" * 40


def tfpar(*arguments):
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ})


def test_a_model_that_streams(run_recipe, tmp_path):
    export = tmp_path / "export"
    result = run_recipe("language_model", "--smoke", "--noxla", "--export_dir", export, "--export", "float32").result
    assert result["recipe"] == "language_model" and result["examples"]["train"] > 3000
    metrics = result["metrics"]
    assert metrics["loss"] == pytest.approx(math.log(metrics["perplexity"]), rel=1e-5)
    assert metrics["bits_per_character"] == pytest.approx(metrics["loss"] / math.log(2))
    (float32,) = result["exports"]
    assert float32["signatures"] == ["serving_default", "step"] and float32["max_abs_error"] < 1e-5

    # The file reads the test split as one stream in `evaluate`, as in the report.
    data = generate_language_data(seed=1)
    text = tmp_path / "text.txt"
    text.write_text(data.vocabulary.decode(data.test))
    report = json.loads(tfpar("evaluate", export, f"text:{text}").stdout)
    assert report["metrics"]["loss"] == pytest.approx(float32["loss"], rel=1e-6)
    assert report["metrics"]["loss"] == pytest.approx(metrics["loss"], rel=0.02)  # from windows of 128 characters
    assert report["unknown_characters"] == 0 and report["examples"] == len(data.test)

    first, again, other = (tfpar("predict", export, "the c", "--length", 30, "--seed", seed) for seed in (5, 5, 6))
    assert first.returncode == 0, first.stderr
    (prediction,) = json.loads(first.stdout)["predictions"]
    assert first.stdout == again.stdout != other.stdout and len(prediction["continuation"]) == 30
    done = tfpar("predict", export, "7é", "--length", 3, "--temperature", 0, "--top_k", 4)
    assert json.loads(done.stdout)["predictions"][0]["unknown"] == "7é"
    for arguments in (["--length", 0], ["--temperature", "-1"]):
        done = tfpar("predict", export, "the c", *arguments)
        assert done.returncode == 2 and done.stderr.startswith(f"error: {arguments[0]} must be"), done.stderr
    text.write_text("")
    done = tfpar("evaluate", export, f"text:{text}")
    assert done.returncode == 2 and "is empty" in done.stderr and done.stderr.count("\n") == 1
    assert tfpar("predict", export, "").returncode == 1


def test_two_replicas_train_the_same_weights_as_one(run_recipe):
    (run_recipe.directory / "text.txt").write_text(TEXT)
    flags = "--dataset text:text.txt --noxla --steps 3 --window 16 --units 8 --batch_size 8 --export=".split()
    one = run_recipe("language_model", *flags).result
    two = run_recipe("language_model", *flags, "--strategy", "mirrored", "--replicas", 2).result
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert two["weights_abs_sum"] == pytest.approx(one["weights_abs_sum"], rel=1e-6)
    assert two["metrics"]["loss"] == pytest.approx(one["metrics"]["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("flags", "content", "words"),
    [
        ("", None, "the data must be text:PATH"),
        ("--dataset text:absent.txt", None, "absent.txt does not exist"),
        ("--dataset text:text.txt", "", "text.txt is empty"),
        ("--dataset text:text.txt", "to be", "Give a longer text, another --split or a shorter --window"),
        ("--dataset text:text.txt --split 0.5", TEXT, "--split must be three fractions"),
        ("--smoke --target micro", None, "--target must be phone or desktop"),
    ],
)
def test_what_is_refused(run_recipe, flags, content, words):
    if content is not None:
        (run_recipe.directory / "text.txt").write_text(content)
    assert words in run_recipe("language_model", *flags.split(), "--export_dir", "export").error
    assert {path.name for path in run_recipe.directory.iterdir()} <= {"text.txt"}


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "min_gru", "min_lstm", "rg_lru", "mlstm", "para_gru"])
def test_cells_that_stream(run_recipe, cell):
    flags = ("--smoke", "--noxla", "--layers", 2, "--cell", cell, "--export_dir", "export", "--export", "float32")
    (float32,) = run_recipe("language_model", *flags).result["exports"]
    assert float32["signatures"] == ["serving_default", "step"] and float32["max_abs_error"] < 1e-4


@pytest.mark.slow
def test_a_repetitive_text_is_learned(run_recipe, tmp_path):
    (run_recipe.directory / "text.txt").write_text(TEXT * 8)
    training = "--dataset text:text.txt --epochs 20 --window 16 --batch_size 16 --learning_rate 0.01 --dropout 0"
    flags = f"{training} --noxla --units 32 --export float32 --export_dir".split()
    result = run_recipe("language_model", *flags, tmp_path / "export").result
    assert result["metrics"]["loss"] < 0.2
    done = tfpar("predict", tmp_path / "export", "so it goes, an", "--length", 13, "--temperature", 0)
    assert json.loads(done.stdout)["predictions"][0]["continuation"] == "d so it went."
