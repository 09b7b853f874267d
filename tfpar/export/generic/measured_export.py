"""Writes a trained model in every format, each measured on the test set, into one directory."""

import dataclasses
from pathlib import Path

import keras
import numpy as np

from tfpar.errors import RefusedFileError, UserError
from tfpar.export.bundle.directory import write_bundle
from tfpar.export.bundle.signature_specs import describe_signature
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.serving import input_names
from tfpar.export.conversion.to_saved_model import saved_model_in_bundle
from tfpar.export.conversion.to_tflite import tflite
from tfpar.export.formats import FORMATS, Format
from tfpar.export.report.card import write_card
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
    """What leaves with a model, and what it is measured on; a task is a subclass.

    Attributes:
        model: with one named input and one named output.
        calibration: a dataset of training batches.
        test_labels: int32 (examples,).
        history: of training.
        form, target: of the TFLite files; see `tflite`.
        facts: what the card and the manifest shall say: "name", "data", "split", "notice", "command", "metrics", ...
    """

    model: keras.Model
    calibration: object
    test_labels: np.ndarray
    history: dict[str, list[float]]
    facts: dict
    form: str = "auto"
    target: str = "phone"

    def write(self, directory: Path | str, formats: tuple[str, ...], gate: bool = True) -> list[dict]:
        """Writes the export directory.

        Args:
            directory: where; a former export there is replaced.
            formats: "saved_model" and names of `FORMATS`.
            gate: refuse a file that does worse than the model, by a paired exact test on the examples that flipped.
                False is for a model that has not learned anything yet: its predictions are at the decision boundary.

        Returns:
            One report for each format; see `tflite`. "metrics" is measured on "examples" of the test set. Of a file
            that was refused, "refused" is the reason; the other files are written.

        Raises:
            UserError: the directory cannot be written.
        """
        answers = self.predict_with_keras()
        manifest = {**self.make_manifest_fields(), **self.facts}
        with write_bundle(directory, manifest) as temporary:
            self.write_task_files(temporary, answers)
            manifest["exports"] = [self._write_or_refuse(temporary, name, answers, gate) for name in formats]
            note_larger_files(manifest["exports"])
            formats = tuple(report["format"] for report in manifest["exports"] if not is_refused(report))
            manifest |= save_weights_if_refused({"model": self.model}, temporary, manifest["exports"])
            manifest["signatures"] = self.signatures()
            manifest |= self.make_late_manifest_fields(temporary, formats)
            write_card(temporary / "card.md", manifest, self.make_card_sections())
        return resolve_paths(directory, manifest["exports"])

    def make_manifest_fields(self) -> dict:
        """What the manifest says of the task: "task", ..."""
        raise NotImplementedError

    def make_card_sections(self) -> dict[str, str]:
        """What the card says of the task: "input", "pictures", "use", "limits"."""
        raise NotImplementedError

    def write_task_files(self, directory: Path, answers: np.ndarray) -> None:
        """Writes what stands beside the model's files."""
        raise NotImplementedError

    def predict_with_keras(self) -> np.ndarray:
        """What the Keras model answers for the test set: (examples, ...)."""
        raise NotImplementedError

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        """As `predict_with_keras`, by a TFLite file, for some rows of the test set."""
        raise NotImplementedError

    def predict_with_micro(self, path: Path, rows: np.ndarray) -> np.ndarray:
        """As `predict_with_tflite`, by TFLite Micro."""
        raise UserError("target='micro' is not for such models; use phone or desktop")

    def make_late_manifest_fields(self, directory: Path, formats: tuple[str, ...]) -> dict:
        """What else is written when the files are there, and what the manifest says of it."""
        if self.target != "micro":
            return {}
        files = self.read_file_signatures(directory, formats)
        return {"signatures": {"saved_model": self.signatures()["saved_model"], **files}}

    def read_file_signatures(self, directory: Path, formats: tuple[str, ...]) -> dict:
        """As `signatures`, of each TFLite file, read from it."""
        files = {name: directory / f"model.{name}.tflite" for name in formats if name in FORMATS}
        return {name: {"serving_default": describe_signature(TFLiteModel(path))} for name, path in files.items()}

    def score(self, answers: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """How good answers for these rows of the test set are: one measure, by its name."""
        return {"accuracy": float(np.mean(self.is_correct(answers, rows)))}

    def is_correct(self, answers: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Which answers for these rows of the test set are right, bool."""
        return answers == self.test_labels[rows]

    def choose_test_rows(self) -> np.ndarray:
        """Rows of the test set that files are measured on."""
        return np.arange(len(self.test_labels))

    def write_file(self, path: Path, name: str, rows: np.ndarray) -> tuple[dict, np.ndarray]:
        """Writes a TFLite file; returns its report, and its answers for these rows."""
        report = tflite(
            self.model,
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
        """What helps where a file of this format does worse."""
        return chosen.remedy

    def signatures(self) -> dict:
        """Names, shapes and dtypes of inputs and outputs."""
        (given,), (answer,) = self.model.inputs, self.model.outputs
        return {
            kind: {
                "serving_default": {
                    "inputs": [_described(input_names(self.model)[0], given, rows)],
                    "outputs": [_described(self.model.output_names[0], answer, rows)],
                }
            }
            for kind, rows in (("saved_model", -1), ("tflite", 1))
        }

    def tflite_options(self) -> dict:
        """More arguments of `tflite`."""
        return {}

    def _write_or_refuse(self, directory, name, answers, gate):
        path = directory / f"model.{name}.tflite"
        return write_or_refuse(name, lambda: self._write_format(directory, name, answers, gate), path)

    def _write_format(self, directory, name, answers, gate):
        if name == "saved_model":
            return saved_model_in_bundle(self.model, directory)
        path, rows = directory / f"model.{name}.tflite", self.choose_test_rows()
        report, found = self.write_file(path, name, rows)
        report |= {"path": path.name, "metrics": self.score(found, rows), "examples": len(rows)}
        if gate:
            self._gate(FORMATS[name], report, found, answers[rows], rows)
        return report

    def _gate(self, chosen, report, found, answers, rows):
        ((name, value),) = report["metrics"].items()
        expected = self.score(answers, rows)[name]
        lost = value - expected if name == "eer" else expected - value
        chance = loss_by_chance(self.is_correct(answers, rows), self.is_correct(found, rows))
        if lost > chosen.max_accuracy_loss and chance < SIGNIFICANCE:
            raise RefusedFileError(
                f"the {chosen.name} file has a test {name} of {value:.4f}, Keras {expected:.4f}; at most "
                f"{chosen.max_accuracy_loss:.4f} may be lost, and chance explains the loss with a probability of "
                f"{chance:.4f} alone. What helps: {self.remedy(chosen)}; or leave {chosen.name} out of --export",
                {key: report[key] for key in ("bytes", "metrics", "examples", "max_abs_error")},
            )


def _described(name, tensor, rows):
    return {"name": name, "dtype": tensor.dtype, "shape": [rows, *(side or -1 for side in tensor.shape[1:])]}
