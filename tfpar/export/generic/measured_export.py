"""Base class for exporting a trained model in several formats, each measured on the test set."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfpar.errors import RefusedFileError, UserError
from tfpar.export.bundle.directory import write_bundle
from tfpar.export.bundle.signature_specs import describe_signature
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.serving import ServingModel
from tfpar.export.conversion.to_saved_model import saved_model_in_bundle
from tfpar.export.conversion.to_tflite import tflite
from tfpar.export.formats import FORMATS, Format
from tfpar.export.report.card import write_card
from tfpar.export.report.html_report import Table, write_report
from tfpar.export.report.refusals import (
    SIGNIFICANCE,
    is_refused,
    loss_by_chance,
    note_larger_files,
    resolve_paths,
    save_weights_if_refused,
    write_or_refuse,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredExport:
    """Base class for exporting a model of one task, verified on its test set.

    Attributes:
        model: with one named input and one named output.
        calibration: a dataset of training batches.
        test_labels: int32 (examples,).
        history: of training.
        form, target: of the TFLite files; see `tflite`.
        facts: fields of manifest and card: "name", "data", "split", "notice", "command", "metrics", ...
    """

    model: keras.Model
    calibration: Any
    test_labels: np.ndarray
    history: dict[str, list[float]]
    facts: dict
    form: str = "auto"
    target: str = "phone"

    def write(self, directory: Path | str, formats: tuple[str, ...], gate: bool = True) -> list[dict]:
        """Write the export directory.

        Args:
            directory: its path; an export that exists there is replaced.
            formats: "saved_model" and names of `FORMATS`.
            gate: whether to refuse a file that is significantly less accurate than the model, by the exact McNemar
                test. False is for an untrained model, whose predictions are at the decision boundary.

        Returns:
            One report for each format; see `tflite`. "metrics" is measured on "examples" of the test set. For a refused
            file "refused" is the reason; the other files are written.

        Raises:
            UserError: the directory cannot be written.
        """
        predictions = self.predict_with_keras()
        manifest = {**self.make_manifest_fields(), **self.facts}
        with write_bundle(directory, manifest) as temporary:
            self.write_task_files(temporary, predictions)
            manifest["exports"] = [self._write_or_refuse(temporary, name, predictions, gate) for name in formats]
            note_larger_files(manifest["exports"])
            formats = tuple(report["format"] for report in manifest["exports"] if not is_refused(report))
            manifest |= save_weights_if_refused({"model": self.model}, temporary, manifest["exports"])
            manifest["signatures"] = self.signatures()
            manifest |= self.make_late_manifest_fields(temporary, formats)
            write_card(temporary / "card.md", manifest, self.make_card_sections())
            pictures = sorted(temporary.glob("*.png"))
            write_report(temporary / "report.html", manifest, self.make_report_tables(), pictures)
        return resolve_paths(directory, manifest["exports"])

    @functools.cached_property
    def serving(self) -> ServingModel:
        """The model prepared for export."""
        return ServingModel(self.model)

    def make_manifest_fields(self) -> dict:
        """Make the task's fields of the manifest: "task", ..."""
        raise NotImplementedError

    def make_card_sections(self) -> dict[str, str]:
        """Make the task's sections of the card: "input", "pictures", "use", "limits"."""
        raise NotImplementedError

    def make_report_tables(self) -> dict[str, Table]:
        """Make the task's tables of `report.html`, by heading."""
        return {}

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        """Write the task's files, such as labels and plots.

        Args:
            directory: of the export.
            predictions: of the Keras model for the test set.
        """
        raise NotImplementedError

    def predict_with_keras(self) -> np.ndarray:
        """Predict the test set with the Keras model: (examples, ...)."""
        raise NotImplementedError

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        """Predict some rows of the test set with a TFLite file."""
        raise NotImplementedError

    def predict_with_micro(self, path: Path, rows: np.ndarray) -> np.ndarray:
        """Predict some rows of the test set with a TFLite file in TFLite Micro."""
        raise UserError("target='micro' is not for such models; use phone or desktop")

    def make_late_manifest_fields(self, directory: Path, formats: tuple[str, ...]) -> dict:
        """Write files that depend on the exported files; return their fields of the manifest."""
        if self.target != "micro":
            return {}
        files = self.read_file_signatures(directory, formats)
        return {"signatures": {"saved_model": self.signatures()["saved_model"], **files}}

    def read_file_signatures(self, directory: Path, formats: tuple[str, ...]) -> dict:
        """Read the signatures of each TFLite file, in the form of `signatures`."""
        files = {name: directory / f"model.{name}.tflite" for name in formats if name in FORMATS}
        return {name: {"serving_default": describe_signature(TFLiteModel(path))} for name, path in files.items()}

    def score(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """Score predictions for some rows of the test set: one metric, by its name."""
        return {"accuracy": float(np.mean(self.is_correct(predictions, rows)))}

    def is_correct(self, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whether predictions for some rows of the test set are correct, bool (rows,)."""
        return predictions == self.test_labels[rows]

    def choose_test_rows(self) -> np.ndarray:
        """Choose the rows of the test set on which files are measured."""
        return np.arange(len(self.test_labels))

    def write_file(self, path: Path, name: str, rows: np.ndarray) -> tuple[dict, np.ndarray]:
        """Write a TFLite file; return its report, and its predictions for some rows of the test set."""
        report = tflite(
            self.serving,
            path,
            quantize=name,
            calibration=self.calibration,
            form=self.form,
            target=self.target,
            padding="right",
            **self.tflite_options(),
        )
        if self.target == "micro":
            return report, self.predict_with_micro(path, rows)
        return report, self.predict_with_tflite(path, rows)

    def remedy(self, chosen: Format) -> str:
        """Return advice for a file of this format that is less accurate than the model."""
        return chosen.remedy

    def signatures(self) -> dict:
        """Describe the names, shapes and dtypes of inputs and outputs."""
        (input_tensor,), (output_tensor,) = self.model.inputs, self.model.outputs
        return {
            kind: {
                "serving_default": {
                    "inputs": [_describe_tensor(self.serving.input_names[0], input_tensor, rows)],
                    "outputs": [_describe_tensor(self.model.output_names[0], output_tensor, rows)],
                }
            }
            for kind, rows in (("saved_model", -1), ("tflite", 1))
        }

    def tflite_options(self) -> dict:
        """Return additional arguments of `tflite`."""
        return {}

    def _write_or_refuse(self, directory, name, predictions, gate):
        path = directory / f"model.{name}.tflite"
        return write_or_refuse(name, lambda: self._write_format(directory, name, predictions, gate), path)

    def _write_format(self, directory, name, predictions, gate):
        if name == "saved_model":
            return saved_model_in_bundle(self.serving, directory)
        path, rows = directory / f"model.{name}.tflite", self.choose_test_rows()
        report, found = self.write_file(path, name, rows)
        report |= {"path": path.name, "metrics": self.score(found, rows), "examples": len(rows)}
        if gate:
            self._check_accuracy(FORMATS[name], report, found, predictions[rows], rows)
        return report

    def _check_accuracy(self, chosen, report, found, predictions, rows):
        ((name, value),) = report["metrics"].items()
        expected = self.score(predictions, rows)[name]
        lost = value - expected if name == "eer" else expected - value
        chance = loss_by_chance(self.is_correct(predictions, rows), self.is_correct(found, rows))
        if lost > chosen.max_accuracy_loss and chance < SIGNIFICANCE:
            raise RefusedFileError(
                f"the {chosen.name} file has a test {name} of {value:.4f}, Keras {expected:.4f}; at most "
                f"{chosen.max_accuracy_loss:.4f} may be lost, and the probability of such a loss by chance is only "
                f"{chance:.4f}. Remedy: {self.remedy(chosen)}; or omit the format {chosen.name}",
                {key: report[key] for key in ("bytes", "metrics", "examples", "max_abs_error")},
            )


def _describe_tensor(name, tensor, rows):
    return {"name": name, "dtype": tensor.dtype, "shape": [rows, *(side or -1 for side in tensor.shape[1:])]}
