"""`tfpar predict`."""

import json

import pytest


def answers(run):
    assert run.returncode == 0, run.stderr
    (line,) = run.stdout.splitlines()
    return json.loads(line)


def test_one_json_object(tfpar, export_dir):
    texts = ["a gripping film", "a dull plot"]
    printed = answers(tfpar("predict", export_dir, *texts))
    assert printed["format"] == "float32"
    assert [prediction["input"] for prediction in printed["predictions"]] == texts
    for prediction in printed["predictions"]:
        probabilities = prediction["probabilities"]
        assert set(probabilities) == {"negative", "positive"}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert prediction["label"] == max(probabilities, key=probabilities.get)


def test_texts_that_differ_are_told_apart(tfpar, export_dir):
    predictions = answers(tfpar("predict", export_dir, "gripping strong bright", "boring sad weak"))["predictions"]
    good, bad = (prediction["probabilities"]["positive"] for prediction in predictions)
    assert good > bad


def test_other_formats(tfpar, export_dir):
    assert answers(tfpar("predict", "--format", "int8", export_dir, "a film"))["format"] == "int8"


def test_the_same_answer_whatever_was_asked_before(tfpar, export_dir):
    texts = ["glad", "a boring weak story with sad actors", "glad"]
    first, _, again = answers(tfpar("predict", export_dir, *texts))["predictions"]
    assert first == again
    assert [first] == answers(tfpar("predict", export_dir, "glad"))["predictions"]


@pytest.mark.parametrize("text", ["", " ", "\u4f60\u597d \U0001f600 na\u00efve", "[PAD] [UNK]", "two\nlines"])
def test_odd_texts(tfpar, export_dir, text):
    (prediction,) = answers(tfpar("predict", export_dir, text))["predictions"]
    assert prediction["input"] == text
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_bytes_that_are_not_utf8(tfpar, export_dir):
    (prediction,) = answers(tfpar("predict", export_dir, b"caf\xe9"))["predictions"]
    assert prediction["label"] in ("negative", "positive")


def test_a_text_that_begins_with_a_dash(tfpar, export_dir):
    (prediction,) = answers(tfpar("predict", export_dir, "--", "-5 stars"))["predictions"]
    assert prediction["input"] == "-5 stars"


def test_standard_input_line_by_line(tfpar, export_dir):
    predictions = answers(tfpar("predict", export_dir, stdin="a glad film\n\nna\u00efve"))["predictions"]
    assert [prediction["input"] for prediction in predictions] == ["a glad film", "", "na\u00efve"]


def test_empty_standard_input(tfpar, export_dir):
    assert answers(tfpar("predict", export_dir))["predictions"] == []


def test_standard_input_that_is_not_utf8(tfpar, export_dir):
    run = tfpar("predict", export_dir, stdin=b"fine\ncaf\xe9\n")
    assert "Traceback" not in run.stderr
    assert run.returncode == 2 or len(answers(run)["predictions"]) == 2


def test_a_hundred_thousand_words(tfpar, export_dir):
    run = tfpar("predict", export_dir, stdin="gripping " * 100_000 + "\n")
    (prediction,) = answers(run)["predictions"]
    (short,) = answers(tfpar("predict", export_dir, "gripping " * 100))["predictions"]
    assert prediction["probabilities"] == short["probabilities"]
    assert run.user_s < 3


def test_it_answers_at_once_and_without_tensorflow(tfpar, export_dir):
    main = ("-X", "importtime", "-m", "tfpar")
    run = tfpar("predict", export_dir, "a film", python=main)
    assert answers(run)["predictions"]
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert {"tokenizers", "numpy"} <= imported
    assert not {"tensorflow", "keras"} & imported
    assert run.user_s < 3


def test_missing_directory(tfpar):
    assert "nowhere is not an export" in tfpar("predict", "nowhere", "text").error


def test_not_an_export(tfpar, tmp_path):
    assert "is not an export" in tfpar("predict", tmp_path, "text").error


def test_a_file_for_a_directory(tfpar, export_dir):
    assert "is not an export" in tfpar("predict", export_dir / "labels.txt", "text").error


@pytest.mark.parametrize("name", ["dynamic", "saved_model", "flout32"])
def test_a_format_that_is_not_there(tfpar, export_dir, name):
    error = tfpar("predict", "--format", name, export_dir, "text").error
    assert name in error and "float32, int8" in error


def test_an_export_of_another_task(tfpar, tmp_path):
    (tmp_path / "manifest.json").write_text('{"manifest_version": 1, "task": "telling time", "exports": []}')
    assert "telling time" in tfpar("predict", tmp_path, "text").error


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"task": "text_classification"}'])
def test_a_manifest_of_something_else(tfpar, tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    assert str(tmp_path) in tfpar("predict", tmp_path, "text").error
