"""recipes/image_classification.py and recipes/faces.py: what they print, train, leave and refuse."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

KEYS = {
    "recipe", "dataset", "cell", "strategy", "replicas", "xla", "examples", "metrics", "train_seconds", "skipped_steps",
    "examples_per_second", "epochs", "compilations", "padding_fraction", "weights_abs_sum", "exports", "model",
}  # fmt: skip

PREDICT = """
import sys
from tfpar.cli import main
sys.argv = ["tfpar", "predict", *sys.argv[1:]]
main.main()
assert not {"tensorflow", "keras", "matplotlib"} & set(sys.modules)
"""


def predict(export, *inputs):
    command = [sys.executable, "-c", PREDICT, export, *inputs]
    return subprocess.run(command, capture_output=True, text=True)


def save(path, seed=0, shape=(16, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)).save(path)
    return str(path)


def test_an_image_classifier_is_trained_and_left(run_recipe, tmp_path):
    left = tmp_path / "left"
    run = run_recipe("image_classification", "--smoke", "--export_dir", left, "--export", "saved_model,float32,int8")
    result = run.result
    assert KEYS <= set(result) and run.stdout == json.dumps(result) + "\n"
    assert (result["recipe"], result["dataset"], result["model"]) == ("image_classification", "generated", "cnn")
    assert result["examples"] == {"train": 64, "validation": 16, "test": 16} and result["examples_per_second"] > 0
    saved_model, float32, int8 = result["exports"]
    assert "CONV_2D" in float32["ops"] and float32["max_abs_error"] <= 1e-5
    assert "MEAN" in float32["ops"]  # over views
    assert float32["metrics"]["accuracy"] == pytest.approx(result["metrics"]["accuracy"])
    names = {path.name for path in left.iterdir()}
    assert names >= {"saved_model", "model.int8.tflite", "labels.txt", "manifest.json", "card.md"}
    assert names >= {"wrong_predictions.png", "confusion_matrix.png", "learning_curve.png"}
    manifest = json.loads((left / "manifest.json").read_text())
    assert manifest["image"] == {"height": 16, "width": 16, "channels": 1}
    assert set(manifest["normalisation"]) == {"mean", "deviation"}
    signature = manifest["signatures"]["tflite"]["serving_default"]
    assert signature["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 16, 16, 1]}]

    pictures = [save(tmp_path / "a.png"), save(tmp_path / "b.jpg", shape=(40, 30, 3))]
    answers = json.loads(predict(left, *pictures).stdout)["predictions"]
    assert [answer["input"] for answer in answers] == pictures
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5) for answer in answers)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    for wrong, words in (
        ("absent.png", "cannot be read"),
        (tmp_path / "torn.png", "torn.png is no image that can be read, or is damaged: it is no PNG, JPEG"),
    ):
        done = predict(left, wrong)
        (answer,) = json.loads(done.stdout)["predictions"]
        assert done.returncode == 1 and words in answer["error"] and answer["input"] == str(wrong)
        assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_faces_are_compared(run_recipe, tmp_path):
    left = tmp_path / "left"
    result = run_recipe("faces", "--smoke", "--export_dir", left, "--export", "float32").result
    assert (result["recipe"], result["task"]) == ("faces", "open")
    assert result["examples"] == {"train": 72, "validation": 0, "test": 24}
    assert 0 <= result["metrics"]["eer"] <= 1
    assert result["exports"][0]["metrics"]["eer"] == pytest.approx(result["metrics"]["eer"], abs=0.01)
    manifest = json.loads((left / "manifest.json").read_text())
    assert manifest["threshold"] == result["metrics"]["threshold"] and (left / "roc.png").exists()
    card = (left / "card.md").read_text()
    assert "6 in training" in card and "research" in card and "not balanced" in card

    one, other = save(tmp_path / "a.png"), save(tmp_path / "b.png", seed=1)
    flags = f"--threshold={manifest['threshold']}"
    (same, different) = json.loads(predict(left, flags, one, one, one, other).stdout)["predictions"]
    assert same["input"] == [one, one] and same["similarity"] == pytest.approx(1) and same["same_person"] is True
    assert different["similarity"] < 1
    assert different["same_person"] is (different["similarity"] >= manifest["threshold"])
    (uncalibrated,) = json.loads(predict(left, one, one).stdout)["predictions"]
    assert uncalibrated["same_person"] == "uncalibrated" and uncalibrated["threshold"] == manifest["threshold"]
    done = predict(left, one)
    assert done.returncode == 2 and "2 by 2; got 1" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "flags"),
    [
        (
            "image_classification",
            "--model row_lstm --views --noxla --cell gru --pretrain autoencoder --augment= --layers 2",
        ),
        (
            "image_classification",
            "--model cnn_lstm --noviews --stages 1 --augment flip,light,noise,cutout --precision mixed_bfloat16",
        ),
        ("faces", "--task closed --model row_lstm --noxla --angular_margin 0.3"),
        ("faces", "--model cnn_lstm --augment elastic"),
    ],
)
def test_what_can_be_trained(run_recipe, recipe, flags):
    result = run_recipe(recipe, "--smoke", *flags.split()).result
    assert result["model"] in flags and result["exports"] == []
    assert ("accuracy" in result["metrics"]) == ("open" != result.get("task"))
    assert not list(run_recipe.directory.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["image_classification", "faces"])
def test_two_replicas_train_the_same_weights_as_one(run_recipe, recipe):
    one = run_recipe(recipe, "--smoke").result
    two = run_recipe(recipe, "--smoke", "--strategy", "mirrored", "--replicas", 2).result
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert two["weights_abs_sum"] == pytest.approx(one["weights_abs_sum"], rel=1e-5)


@pytest.mark.slow
def test_a_folder_of_ones_own(run_recipe):
    for number in range(24):
        save(run_recipe.directory / "mine" / "ab"[number % 2] / f"{number}.png", number, (20 + number % 3, 20))
    (run_recipe.directory / "mine" / "a" / "torn.png").write_bytes(b"torn")
    flags = "--dataset folder:mine --image_size 16 --steps 3 --width 4 --hidden 8 --batch_size 8 --validation_split"
    run = run_recipe("image_classification", *flags.split(), "--export=")
    assert run.result["examples"] == {"train": 20, "validation": 2, "test": 2}
    assert "skipped 1: image that cannot be read" in run.stderr


@pytest.mark.parametrize(
    ("recipe", "flags", "words"),
    [
        ("image_classification", "--dataset folder:absent", "absent does not exist"),
        ("image_classification", "--dataset csv:mine.csv", "expected mnist_5k, orl_faces, tfds:NAME"),
        ("image_classification", "--augment affine,blur", "--augment"),
        ("image_classification", "--smoke --stages 5", "--stages 5 halve 16 x 16 pixels too often"),
        ("image_classification", "--model transformer", "--model"),
        ("image_classification", "--target micro --export float16", "must list int8, float32, saved_model"),
        ("faces", "--task verify", "--task"),
        ("faces", "--patience 3", "--task open has no validation split"),
        ("faces", "--dataset folder:.", "has no sub-folders"),
    ],
)
def test_what_is_refused(run_recipe, recipe, flags, words):
    assert words in run_recipe(recipe, *flags.split()).error
    assert not list(run_recipe.directory.iterdir())
