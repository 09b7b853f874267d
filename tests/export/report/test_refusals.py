"""A file that was refused does not discard the others, and a few flipped examples do not refuse a file."""

import json

import keras
import numpy as np
import pytest

from tfpar.errors import RefusedFileError, UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.model_file import load_model
from tfpar.export.generic import model_export
from tfpar.export.generic.measured_export import MeasuredExport
from tfpar.export.report.refusals import loss_by_chance, note_larger_files

FACTS = {"name": "n", "summary": "", "data": "", "split": "", "notice": "", "command": "", "train_seconds": 1.0}


class Classifier(MeasuredExport):
    """The sign of one number."""

    def make_manifest_fields(self):
        return {"task": "signs"}

    def make_card_sections(self):
        return {"input": "", "pictures": "", "use": "", "limits": ""}

    def write_task_files(self, directory, predictions):
        (directory / "labels.txt").write_text("a\nb\n")

    def predict_with_keras(self):
        return self.test_labels.copy()

    def predict_with_tflite(self, path, rows):
        wrong = {"dynamic": 40, "float16": 3}.get(path.name.split(".")[1], 0)
        return np.where(np.arange(len(rows)) < wrong, 1 - self.test_labels[rows], self.test_labels[rows])


def classifier():
    inputs = keras.Input((2,), name="x")
    return Classifier(
        model=keras.Model(inputs, keras.layers.Dense(2, name="y")(inputs)),
        calibration=np.ones((4, 2), np.float32),
        test_labels=np.arange(100) % 2,
        history={},
        facts={**FACTS, "metrics": {"accuracy": 1.0}, "versions": {}},
    )


def test_the_other_files_are_written(tmp_path, capsys):
    reports = classifier().write(tmp_path / "out", ("float32", "float16", "dynamic"))
    assert [report["format"] for report in reports if "refused" in report] == ["dynamic"]
    assert reports[1]["metrics"] == {"accuracy": 0.97}, "three of a hundred may flip by chance"
    assert "accuracy of 0.6000, Keras 1.0000" in reports[2]["refused"] and reports[2]["metrics"] == {"accuracy": 0.6}
    assert "refused: the dynamic file has" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    listed = {entry["path"] for entry in manifest["files"]}
    assert {"model.float32.tflite", "model.float16.tflite", "card.md"} <= listed
    assert "model.dynamic.tflite" not in listed
    assert "not written: the dynamic file" in (tmp_path / "out" / "card.md").read_text()
    with pytest.raises(UserError, match="has no dynamic file; it has float32, float16"):
        load_model(Bundle(tmp_path / "out"), "dynamic")


def test_weights_are_kept_where_every_file_was_refused(tmp_path):
    export = classifier()
    (report,) = export.write(tmp_path / "out", ("dynamic",))
    assert "refused" in report
    loaded = keras.saving.load_model(tmp_path / "out" / "model.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], export.model.get_weights()[0])
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["keras_files"] == ["model.keras"]


def test_an_untrained_model_is_not_measured_by_its_task(tmp_path):
    (report,) = classifier().write(tmp_path / "out", ("dynamic",), gate=False)
    assert "refused" not in report


@pytest.mark.parametrize(
    "lost, won, chance", [(0, 0, 1.0), (3, 0, 1 / 8), (5, 0, 1 / 32), (1, 1, 3 / 4), (2, 8, 1 - 11 / 1024)]
)
def test_the_exact_test_of_paired_examples(lost, won, chance):
    before = np.array([True] * lost + [False] * won + [True] * 9)
    after = np.array([False] * lost + [True] * won + [True] * 9)
    assert loss_by_chance(before, after) == pytest.approx(chance)


def test_a_model_of_the_users_keeps_its_other_files(dense, tmp_path, monkeypatch):
    tflite = model_export.tflite

    def refuse(model, path, quantize, **options):
        if quantize == "float16":
            raise RefusedFileError("too far", {"max_abs_error": 0.5})
        return tflite(model, path, quantize=quantize, **options)

    monkeypatch.setattr(model_export, "tflite", refuse)
    manifest = model_export.export_model(dense, tmp_path / "out", ("float32", "float16"), "a test")
    assert manifest["exports"][1] == {"format": "float16", "refused": "too far", "max_abs_error": 0.5}
    assert (tmp_path / "out" / "model.float32.tflite").exists()
    with pytest.raises(UserError, match="too far"):
        model_export.export_model(dense, tmp_path / "none", ("float16",), "a test")
    assert not (tmp_path / "none").exists()


def test_8_bit_files_that_are_larger_say_so():
    reports = [
        {"format": "float32", "bytes": 100},
        {"format": "dynamic", "bytes": 60},
        {"format": "int8", "bytes": 300},
        {"format": "float16", "refused": "no"},
    ]
    note_larger_files(reports)
    assert reports[2]["note"] == "larger than the float32 file (100 bytes): dynamic has 60 bytes"
    assert [report["format"] for report in reports if "note" in report] == ["int8"]
