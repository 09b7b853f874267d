"""`tfpar evaluate`."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpar.data.wav import write_wav

SAVED_MODELS = Path(__file__).parents[2] / "saved_models"


def write_images(directory, count=2):
    generator = np.random.default_rng(0)
    for label in "37":
        (directory / label).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(generator.integers(0, 256, (28, 28)).astype(np.uint8)).save(
                directory / label / f"{number}.png"
            )
    return directory


def test_texts_of_a_table(tfpar, export_dir, tmp_path):
    texts = ["gripping strong bright", "boring sad weak", "glad", "a boring film"]
    labels = ["positive", "negative", "negative", "negative"]
    rows = [
        *zip(texts, labels, ["test"] * 4, strict=True),
        ("fine", "positive", "train"),
        ("short",),
        ("", "positive", "test"),
    ]
    (tmp_path / "t.csv").write_text("text,label,split\n" + "\n".join(map(",".join, rows)) + "\n")
    report = tfpar("evaluate", export_dir, f"csv:{tmp_path / 't.csv'}", "--split", "test").result
    predictions = tfpar("predict", export_dir, *texts).result["predictions"]
    right = [prediction["label"] == label for prediction, label in zip(predictions, labels, strict=True)]
    assert report["examples"] == 4 and report["task"] == "text_classification" and report["format"] == "float32"
    assert report["metrics"]["accuracy"] == np.mean(right)
    likelihoods = [prediction["probabilities"][label] for prediction, label in zip(predictions, labels, strict=True)]
    assert report["metrics"]["log_loss"] == pytest.approx(-np.mean(np.log(likelihoods)))
    assert [entry["input"].split()[-2:] for entry in report["unreadable"]] == [["row", "6"], ["row", "7"]]
    assert sum(map(sum, report["confusion_matrix"])) == 4
    (negative,) = (entry for entry in report["classes"] if entry["label"] == "negative")
    assert negative["examples"] == 3 and negative["recall"] == np.mean(right[1:])
    assert tfpar("evaluate", export_dir, tmp_path / "t.csv", "--format", "int8").result["examples"] == 5


def test_tables_of_a_spreadsheet_in_another_language(tfpar, export_dir, tmp_path):
    """Semicolons and cp1252, for `evaluate` and `predict`."""
    table, dialect = tmp_path / "t.csv", ["--delimiter", ";", "--encoding", "cp1252"]
    table.write_bytes("text;label\nun film, très bon;positive\nun film mauvais – triste;negative\n".encode("cp1252"))
    assert tfpar("evaluate", export_dir, table, *dialect).result["examples"] == 2
    run = tfpar("predict", export_dir, f"csv:{table}", *dialect)
    inputs = [prediction["input"] for prediction in run.result["predictions"]]
    assert inputs == ["un film, très bon", "un film mauvais – triste"]
    for command, data in (("evaluate", table), ("predict", f"csv:{table}")):
        assert "--encoding must be an encoding" in tfpar(command, export_dir, data, "--encoding", "utf-ate").error


def test_images_of_class_folders(tfpar, tmp_path):
    data = write_images(tmp_path / "images")
    (data / "7" / "torn.png").write_bytes(b"\x89PNG")
    (data / "7" / "notes.txt").touch()
    export = SAVED_MODELS / "image_classification"
    run = tfpar("evaluate", export, data, python=("-X", "importtime", "-m", "tfpar"))
    report = run.result
    assert report["examples"] == 4 and len(report["unreadable"]) == 2 and "torn.png" in str(report["unreadable"])
    (tmp_path / "images.tsv").write_text(
        "".join(f"images/{label}/{n}.png\t{label}\n" for label in "37" for n in range(2))
    )
    flags = ("--input_column", "0", "--label_column", "1")
    assert tfpar("evaluate", export, tmp_path / "images.tsv", *flags).result["metrics"] == report["metrics"]
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "PIL" in imported and not {"tensorflow", "keras", "matplotlib"} & imported


def test_speech_of_class_folders(tfpar, tmp_path):
    for name, signal in (
        ("one/a", np.sin(np.arange(4000))),
        ("two/b", np.sin(np.arange(4000) / 9)),
        ("two/c", np.zeros(99)),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_wav(tmp_path / f"{name}.wav", signal / 2, 8000)
    report = tfpar("evaluate", SAVED_MODELS / "speech", f"folder:{tmp_path}").result
    assert report["examples"] == 2 and 0 <= report["metrics"]["accuracy"] <= 1
    assert "holds no sound" in report["unreadable"][0]["error"]


def test_arrays_of_any_model(tfpar, small_exports, tmp_path):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.savez(tmp_path / "d.npz", x=x, y=2 * x + [[1], [-1], [1], [-3]])
    assert tfpar("evaluate", small_exports["model"], tmp_path / "d.npz").result["metrics"] == pytest.approx(
        {"mse": 3.0, "mae": 1.5}, abs=1e-6
    )
    np.savez(tmp_path / "d.npz", x=x, y=x.argmax(axis=1))
    assert tfpar("evaluate", small_exports["model"], tmp_path / "d.npz").result["metrics"] == {"accuracy": 1.0}


def unit(path):
    pixels = np.asarray(Image.open(path)).astype(float).ravel() / 255 - 0.5
    return pixels / np.linalg.norm(pixels)


def cosines(people):
    """Of pairs of one person, and of two. The mean of a picture's and its mirror image's embedding is symmetrized."""
    files = sorted(people.rglob("*.png"))
    vectors = [unit(path).reshape(8, 8) for path in files]
    vectors = [vector + vector[:, ::-1] for vector in vectors]
    same, different = [], []
    for one, other in itertools.combinations(range(len(files)), 2):
        cosine = np.sum(vectors[one] * vectors[other]) / np.linalg.norm(vectors[one]) / np.linalg.norm(vectors[other])
        (same if files[one].parent == files[other].parent else different).append(cosine)
    return np.array(same), np.array(different)


def test_a_face_threshold_is_set_in_a_copy(tfpar, small_exports, people, tmp_path):
    same, different = cosines(people)
    faces, copy = small_exports["faces"], tmp_path / "copy"
    before = (faces / "manifest.json").read_bytes()
    flags = ("--set_threshold", "false_accept_rate=0.02", "--output_dir", copy)
    report = tfpar("evaluate", faces, people, *flags).result
    assert report["pairs"] == {"same": 30, "different": 160} and report["calibrated"] is False
    assert report["metrics"]["false_reject_rate"] == pytest.approx(np.mean(same < 0.5))
    threshold = report["export"]["threshold"]
    # The smallest cosine that accepts at most 3 of 160 pairs.
    assert threshold == pytest.approx(min(c for c in [*same, *different] if c > np.sort(different)[-4]), abs=1e-6)
    assert report["export"]["false_accept_rate"] <= 0.02
    assert (faces / "manifest.json").read_bytes() == before
    manifest = json.loads((copy / "manifest.json").read_text())
    assert manifest["threshold"] == threshold and manifest["threshold_set_by"]["rule"] == "false_accept_rate=0.02"
    assert f"{threshold:.4f}" in (copy / "card.md").read_text()
    assert tfpar("verify", copy).result["ok"]

    one, other = people / "a" / "0.png", people / "b" / "0.png"
    (first,) = tfpar("predict", faces, one, other).result["predictions"]
    assert (first["same_person"], first["calibrated"], first["threshold"]) == ("uncalibrated", False, 0.5)
    for export, more in ((copy, ()), (faces, ("--threshold", threshold))):
        (prediction,) = tfpar("predict", export, *map(str, (one, other, *more))).result["predictions"]
        assert prediction["same_person"] is (prediction["similarity"] >= threshold) and prediction["calibrated"] is True
        assert prediction["similarity"] == first["similarity"]


def test_face_pairs_of_a_table(tfpar, small_exports, people, tmp_path):
    data = shutil.copytree(people, tmp_path / "people")
    rows = [
        "one,other,same",
        "a/0.png,a/1.png,1",
        "a/0.png,b/1.png,no",
        "a/0.png,gone.png,1",
        "a/0.png,b/2.png,perhaps",
    ]
    (data / "pairs.csv").write_text("\n".join(rows))
    report = tfpar("evaluate", small_exports["faces"], data / "pairs.csv").result
    assert report["pairs"] == {"same": 1, "different": 1}
    assert sorted(entry["error"].split(" ")[0].rpartition("/")[2] for entry in report["unreadable"]) == [
        "gone.png",
        "pairs.csv",
    ]
    (data / "pairs.csv").write_text("\n".join(rows[1:3]))
    assert tfpar("evaluate", small_exports["faces"], data / "pairs.csv").result["pairs"] == report["pairs"]


@pytest.mark.parametrize(
    ("export", "arguments", "words"),
    [
        ("text", "nowhere", "nowhere does not exist; the data must be folder:PATH or csv:PATH or tsv:PATH"),
        ("text", "cvs:t.csv", "did you mean 'csv'?"),
        ("text", "t.csv", "t.csv row 1 has the label 'good'; the model's are negative, positive"),
        ("text", "t.csv --label_column stars", "no column 'stars'"),
        ("text", "t.csv --split tset", "did you mean 'test'?"),
        ("text", "t.csv --split test", "has no column 'split'"),
        ("text", "csv:images", "is a directory, which csv: does not read"),
        ("text", "t.csv --format flaot32", "did you mean 'float32'?"),
        ("text", "t.csv --set_threshold equal_error_rate --output_dir o", "are for exports that compare faces"),
        ("image", "images/3", "has no sub-folders"),
        ("image", "images --label_column x", "--label_column is for csv: and tsv: data"),
        ("model", "t.csv", "this model needs an npz file with the arrays x (inputs) and y (true outputs)"),
        ("model", "x.npz", "it has no array y, but x; this model needs"),
        ("model", "xy.npz", "class indices of the shape (2,); got float64 of the shape (2, 2)"),
        ("faces", "people --set_threshold equal_error_rate", "--set_threshold and --output_dir belong together"),
        ("faces", "people --set_threshold far=0.1 --output_dir o", "equal_error_rate or false_accept_rate=RATE"),
        (
            "faces",
            "people --set_threshold false_accept_rate=2 --output_dir o",
            "between 0 and 1; got 'false_accept_rate=2'",
        ),
        ("faces", "people --set_threshold false_accept_rate=0.001 --output_dir o", "needs 1000 pairs of two people"),
        ("faces", "people --set_threshold equal_error_rate --output_dir people", "must be a new directory"),
        ("faces", "images", "must give pairs of one person and of two; got 0 and 0. The first unreadable input"),
    ],
)
def test_refusals(tfpar, export_dir, small_exports, people, tmp_path, export, arguments, words):
    exports = {"text": export_dir, "image": SAVED_MODELS / "image_classification", **small_exports}
    (tmp_path / "t.csv").write_text("text,label\na film,good\n")
    for label in "37":
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "images" / label / f"{number}.png").write_bytes(b"torn")
    (tmp_path / "people").symlink_to(people)
    np.savez(tmp_path / "x.npz", x=np.ones((2, 3)))
    np.savez(tmp_path / "xy.npz", x=np.ones((2, 3)), y=np.ones((2, 2)))
    data, *flags = arguments.split()
    kind, colon, name = data.rpartition(":")
    path = data if "nowhere" in data else f"{kind}{colon}{tmp_path / name}"
    flags = [str(tmp_path / flag) if flag in ("o", "people") else flag for flag in flags]
    run = tfpar("evaluate", exports[export], path, *flags)
    assert run.returncode == 2 and "Traceback" not in run.stderr and words in run.stderr.splitlines()[-1], run.stderr
    assert len([line for line in run.stderr.splitlines() if not line.startswith("INFO: ")]) == 1
    assert run.stdout == "" and not (tmp_path / "o").exists()
