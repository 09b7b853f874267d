"""`tfpar predict`."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpar.data.wav import write_wav

SAVED_MODELS = Path(__file__).parents[2] / "saved_models"


def read_json(run):
    assert run.returncode == 0, run.stderr
    (line,) = run.stdout.splitlines()
    return json.loads(line)


def test_one_json_object(tfpar, export_dir):
    texts = ["a gripping film", "a dull plot"]
    printed = read_json(tfpar("predict", export_dir, *texts))
    assert printed["format"] == "float32"
    assert [prediction["input"] for prediction in printed["predictions"]] == texts
    for prediction in printed["predictions"]:
        probabilities = prediction["probabilities"]
        assert set(probabilities) == {"negative", "positive"}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert prediction["label"] == max(probabilities, key=probabilities.get)


def test_texts_that_differ_are_told_apart(tfpar, export_dir):
    predictions = read_json(tfpar("predict", export_dir, "gripping strong bright", "boring sad weak"))["predictions"]
    good, bad = (prediction["probabilities"]["positive"] for prediction in predictions)
    assert good > bad


def test_other_formats(tfpar, export_dir):
    assert read_json(tfpar("predict", "--format", "int8", export_dir, "a film"))["format"] == "int8"


def test_predictions_do_not_depend_on_earlier_inputs(tfpar, export_dir):
    texts = ["glad", "a boring weak story with sad actors", "glad"]
    first, _, again = read_json(tfpar("predict", export_dir, *texts))["predictions"]
    assert first == again
    assert [first] == read_json(tfpar("predict", export_dir, "glad"))["predictions"]


@pytest.mark.parametrize("text", ["", " ", "\u4f60\u597d \U0001f600 na\u00efve", "[PAD] [UNK]", "two\nlines"])
def test_odd_texts(tfpar, export_dir, text):
    (prediction,) = read_json(tfpar("predict", export_dir, text))["predictions"]
    assert prediction["input"] == text
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_bytes_that_are_not_utf8(tfpar, export_dir):
    (prediction,) = read_json(tfpar("predict", export_dir, b"caf\xe9"))["predictions"]
    assert prediction["label"] in ("negative", "positive")


def test_a_text_that_begins_with_a_dash(tfpar, export_dir):
    (prediction,) = read_json(tfpar("predict", export_dir, "--", "-5 stars"))["predictions"]
    assert prediction["input"] == "-5 stars"


def test_standard_input_line_by_line(tfpar, export_dir):
    predictions = read_json(tfpar("predict", export_dir, stdin="a glad film\n\nna\u00efve"))["predictions"]
    assert [prediction["input"] for prediction in predictions] == ["a glad film", "", "na\u00efve"]


def test_empty_standard_input(tfpar, export_dir):
    assert read_json(tfpar("predict", export_dir))["predictions"] == []


def test_standard_input_that_is_not_utf8(tfpar, export_dir):
    run = tfpar("predict", export_dir, stdin=b"fine\ncaf\xe9\n")
    assert "Traceback" not in run.stderr
    assert run.returncode == 2 or len(read_json(run)["predictions"]) == 2


def test_a_hundred_thousand_words(tfpar, export_dir):
    run = tfpar("predict", export_dir, stdin="gripping " * 100_000 + "\n", python=("-m", "tfpar"))
    (prediction,) = read_json(run)["predictions"]
    (short,) = read_json(tfpar("predict", export_dir, "gripping " * 100))["predictions"]
    assert prediction["probabilities"] == short["probabilities"]
    assert run.user_s < 3


def test_it_predicts_fast_and_without_tensorflow(tfpar, export_dir):
    main = ("-X", "importtime", "-m", "tfpar")
    run = tfpar("predict", export_dir, "a film", python=main)
    assert read_json(run)["predictions"]
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


def partly_answered(run):
    """Predictions of a run that failed for some inputs."""
    assert run.returncode == 1 and run.stderr.splitlines()[-1].startswith("error: "), run.stderr
    return json.loads(run.stdout)["predictions"]


def labels(predictions):
    return [prediction.get("label", prediction.get("error")) for prediction in predictions]


def test_texts_of_files(tfpar, export_dir, tmp_path):
    texts = ["a gripping film", "a dull plot, it is", 'with "quotes"']
    alone = read_json(tfpar("predict", export_dir, *texts))["predictions"]
    with open(tmp_path / "t.csv", "w", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
    (tmp_path / "t.tsv").write_text("\n".join(texts))
    np.savez(tmp_path / "t.npz", text=np.array(texts))
    (tmp_path / "texts" / "below").mkdir(parents=True)
    for number, text in enumerate(texts):
        (tmp_path / "texts" / "below" / f"{number}.txt").write_text(text)
    assert read_json(tfpar("predict", export_dir, f"csv:{tmp_path / 't.csv'}"))["predictions"] == alone
    without_header = tfpar("predict", export_dir, f"tsv:{tmp_path / 't.tsv'}", "--input_column", "0")
    assert read_json(without_header)["predictions"] == alone
    for source in (f"npz:{tmp_path / 't.npz'}", f"folder:{tmp_path / 'texts'}"):
        found = read_json(tfpar("predict", export_dir, source))["predictions"]
        assert [{**one, "input": ""} for one in found] == [{**one, "input": ""} for one in alone]
    (line,) = read_json(tfpar("predict", export_dir, stdin="csv:t.csv\n"))["predictions"]
    assert line["input"] == "csv:t.csv" and "label" in line  # a line is a text


def test_a_bad_input_does_not_affect_other_predictions(tfpar, export_dir, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"text,id\nfine,1\nshort\ncaf\xe9,2\ngood,3\n")
    sources = ["glad", f"csv:{tmp_path / 'gone.csv'}", f"csv:{tmp_path / 't.csv'}", f"npz:{tmp_path / 't.csv'}", "sad"]
    found = partly_answered(tfpar("predict", export_dir, *sources))
    assert [entry["input"] for entry in found if "label" in entry] == ["glad", "fine", "good", "sad"]
    errors = [entry["error"] for entry in found if "error" in entry]
    words = ["gone.csv does not exist", "row 2: 1 fields instead of 2", "row 3: not UTF-8", "it is not an npz file"]
    assert len(errors) == 4 and all(word in error for word, error in zip(words, errors, strict=True))


def test_images_of_files(tfpar, tmp_path):
    export, images = SAVED_MODELS / "image_classification", np.random.default_rng(0).integers(0, 256, (3, 28, 28))
    images = images.astype(np.uint8)
    (tmp_path / "i" / "below").mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "i" / "below" / f"{number}.png")
    (tmp_path / "i" / "torn.png").write_bytes(b"\x89PNG")
    (tmp_path / "t.csv").write_text("path\ni/below/0.png\ni/below/1.png\ni/gone.png\n")
    np.savez(tmp_path / "i.npz", image=images)
    found = partly_answered(tfpar("predict", export, tmp_path / "i"))
    assert [Path(entry["input"]).name for entry in found] == ["0.png", "1.png", "2.png", "torn.png"]
    right = labels(read_json(tfpar("predict", export, f"npz:{tmp_path / 'i.npz'}"))["predictions"])
    assert labels(found)[:3] == right and "torn.png is no image" in labels(found)[3]
    rows = partly_answered(tfpar("predict", export, f"csv:{tmp_path / 't.csv'}"))
    assert labels(rows)[:2] == right[:2] and "gone.png cannot be read" in labels(rows)[2]
    np.savez(tmp_path / "i.npz", image=images / 1.0 + 1)
    assert "must be from 0 to 255" in partly_answered(tfpar("predict", export, f"npz:{tmp_path / 'i.npz'}"))[0]["error"]


def test_clips_of_files(tfpar, tmp_path):
    signal = np.sin(np.arange(6000) / 9).astype("float32") / 2
    write_wav(tmp_path / "a.wav", signal, 8000)
    np.savez(tmp_path / "a.npz", audio=[signal])
    (tmp_path / "t.tsv").write_text("path\na.wav\n")
    for source in (tmp_path, f"tsv:{tmp_path / 't.tsv'}", f"npz:{tmp_path / 'a.npz'}"):
        (prediction,) = read_json(tfpar("predict", SAVED_MODELS / "speech", source))["predictions"]
        assert prediction["label"] and sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_faces_of_files(tfpar, small_exports, people, tmp_path):
    alone = read_json(tfpar("predict", small_exports["faces"], *sorted((people / "a").iterdir())[:2]))["predictions"]
    (tmp_path / "people").symlink_to(people)
    (tmp_path / "t.csv").write_text("path,other_path\npeople/a/0.png,people/a/1.png\n")
    np.savez(
        tmp_path / "t.npz",
        image=[np.asarray(Image.open(people / "a" / "0.png"))],
        other_image=[np.asarray(Image.open(people / "a" / "1.png"))],
    )
    for source, count in ((people / "a", 6), (f"csv:{tmp_path / 't.csv'}", 1), (f"npz:{tmp_path / 't.npz'}", 1)):
        found = read_json(tfpar("predict", small_exports["faces"], source))["predictions"]
        assert len(found) == count and found[0]["similarity"] == alone[0]["similarity"]
    assert "2 by 2; got 1" in tfpar("predict", small_exports["faces"], people / "a" / "0.png").error
    assert "from -1 to 1; got 2" in tfpar("predict", small_exports["faces"], "--threshold", "2").error
    assert (
        "--threshold is only for exports that compare faces"
        in tfpar("predict", small_exports["model"], "--threshold=0").error
    )


def test_rows_of_files(tfpar, small_exports, tmp_path):
    rows = [[1.5, 2, 3], [4, 5, 6]]
    (tmp_path / "r.tsv").write_text("\n".join("\t".join(map(str, row)) for row in rows))
    np.save(tmp_path / "r.npy", np.array(rows, "float32"))
    (tmp_path / "bad.csv").write_text("1,2\n")
    found = partly_answered(tfpar("predict", small_exports["model"], tmp_path))
    assert [entry.get("outputs", {}).get("y") for entry in found] == [None, *[(2 * np.array(rows)).tolist()] * 2]
    table = tfpar("predict", small_exports["model"], f"tsv:{tmp_path / 'r.tsv'}", "--output", "csv").stdout
    assert [list(row.values())[1:5] for row in csv.DictReader(table.splitlines())] == [
        ["0", "3.0", "4.0", "6.0"],
        ["1", "8.0", "10.0", "12.0"],
    ]
    np.save(tmp_path / "r.npy", np.full((1, 3), 3e38, "float32"))
    (overflow,) = partly_answered(tfpar("predict", small_exports["model"], tmp_path / "r.npy"))
    assert overflow["error"] == "the model's output outputs.y.0.0 is inf"


def test_output_as_lines_and_as_a_table(tfpar, export_dir):
    texts = ["glad", "sad, very", "csv:gone.csv"]
    whole = partly_answered(tfpar("predict", export_dir, *texts))
    lines = tfpar("predict", export_dir, *texts, "--output", "jsonl")
    assert [json.loads(line) for line in lines.stdout.splitlines()] == whole and lines.returncode == 1
    table = tfpar("predict", export_dir, *texts, "--output=csv")
    rows = list(csv.DictReader(table.stdout.splitlines()))
    assert [row["input"] for row in rows] == texts and table.returncode == 1
    assert [row["label"] for row in rows[:2]] == labels(whole)[:2] and rows[2]["error"] == whole[2]["error"]
    assert float(rows[0]["probabilities.positive"]) == whole[0]["probabilities"]["positive"]


def test_options_between_inputs(tfpar, export_dir):
    run = tfpar("predict", export_dir, "glad", "--format", "int8", "sad")
    assert read_json(run)["format"] == "int8" and len(read_json(run)["predictions"]) == 2


@pytest.mark.parametrize("task", ["speech", "translation", "image_classification", "face_verification", "model"])
def test_a_manifest_that_names_another_task(tfpar, export_dir, tmp_path, task):
    copy = shutil.copytree(export_dir, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "task": task}))
    run = tfpar("predict", copy, "text")
    assert run.returncode in (1, 2) and "Traceback" not in run.stderr and "error: " in run.stderr


def test_labels_of_another_model(tfpar, export_dir, tmp_path):
    copy = shutil.copytree(export_dir, tmp_path / "copy")
    (copy / "labels.txt").write_text("one\ntwo\nthree\n")
    content = json.loads((copy / "manifest.json").read_text())
    for entry in content["files"]:
        entry["sha256"] = hashlib.sha256((copy / entry["path"]).read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(content))
    assert "labels.txt must name the 2 classes of the model; got 3 names" in tfpar("predict", copy, "text").error
