"""Writes a trained model in every format, each measured on the test set, into one directory."""

import dataclasses
from pathlib import Path

import keras
import numpy as np

from tfpar.errors import RefusedFileError, UserError
from tfpar.export.bundle.directory import write_bundle
from tfpar.export.bundle.signature_specs import described
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.serving import input_names
from tfpar.export.conversion.to_saved_model import saved_model_in_bundle
from tfpar.export.conversion.to_tflite import tflite
from tfpar.export.formats import FORMATS, Format
from tfpar.export.report.card import write_card
from tfpar.export.report.refusals import (
    SIGNIFICANCE,
    in_directory,
    is_refused,
    keep_weights,
    loss_by_chance,
    note_larger_files,
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
        answers = self.keras_answers()
        manifest = {**self.task_facts(), **self.facts}
        with write_bundle(directory, manifest) as temporary:
            self.write_surroundings(temporary, answers)
            manifest["exports"] = [self._write_or_refuse(temporary, name, answers, gate) for name in formats]
            note_larger_files(manifest["exports"])
            formats = tuple(report["format"] for report in manifest["exports"] if not is_refused(report))
            manifest |= keep_weights({"model": self.model}, temporary, manifest["exports"])
            manifest["signatures"] = self.signatures()
            manifest |= self.more_facts(temporary, formats)
            write_card(temporary / "card.md", manifest, self.card_words())
        return in_directory(directory, manifest["exports"])

    def task_facts(self) -> dict:
        """What the manifest says of the task: "task", ..."""
        raise NotImplementedError

    def card_words(self) -> dict[str, str]:
        """What the card says of the task: "input", "pictures", "use", "limits"."""
        raise NotImplementedError

    def write_surroundings(self, directory: Path, answers: np.ndarray) -> None:
        """Writes what stands beside the model's files."""
        raise NotImplementedError

    def keras_answers(self) -> np.ndarray:
        """What the Keras model answers for the test set: (examples, ...)."""
        raise NotImplementedError

    def tflite_answers(self, path: Path, rows: np.ndarray) -> np.ndarray:
        """As `keras_answers`, by a TFLite file, for some rows of the test set."""
        raise NotImplementedError

    def micro_answers(self, path: Path, rows: np.ndarray) -> np.ndarray:
        """As `tflite_answers`, by TFLite Micro."""
        raise UserError("target='micro' is not for such models; use phone or desktop")

    def more_facts(self, directory: Path, formats: tuple[str, ...]) -> dict:
        """What else is written when the files are there, and what the manifest says of it."""
        if self.target != "micro":
            return {}
        files = self.signatures_of_files(directory, formats)
        return {"signatures": {"saved_model": self.signatures()["saved_model"], **files}}

    def signatures_of_files(self, directory: Path, formats: tuple[str, ...]) -> dict:
        """As `signatures`, of each TFLite file, read from it."""
        files = {name: directory / f"model.{name}.tflite" for name in formats if name in FORMATS}
        return {name: {"serving_default": described(TFLiteModel(path))} for name, path in files.items()}

    def score(self, answers: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """How good answers for these rows of the test set are: one measure, by its name."""
        return {"accuracy": float(np.mean(self.is_right(answers, rows)))}

    def is_right(self, answers: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Which answers for these rows of the test set are right, bool."""
        return answers == self.test_labels[rows]

    def measured_rows(self) -> np.ndarray:
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
            return report, self.micro_answers(path, rows)
        return report, self.tflite_answers(path, rows)

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
        path, rows = directory / f"model.{name}.tflite", self.measured_rows()
        report, found = self.write_file(path, name, rows)
        report |= {"path": path.name, "metrics": self.score(found, rows), "examples": len(rows)}
        if gate:
            self._gate(FORMATS[name], report, found, answers[rows], rows)
        return report

    def _gate(self, chosen, report, found, answers, rows):
        ((name, value),) = report["metrics"].items()
        expected = self.score(answers, rows)[name]
        lost = value - expected if name == "eer" else expected - value
        chance = loss_by_chance(self.is_right(answers, rows), self.is_right(found, rows))
        if lost > chosen.max_accuracy_loss and chance < SIGNIFICANCE:
            raise RefusedFileError(
                f"the {chosen.name} file has a test {name} of {value:.4f}, Keras {expected:.4f}; at most "
                f"{chosen.max_accuracy_loss:.4f} may be lost, and chance explains the loss with a probability of "
                f"{chance:.4f} alone. What helps: {self.remedy(chosen)}; or leave {chosen.name} out of --export",
                {key: report[key] for key in ("bytes", "metrics", "examples", "max_abs_error")},
            )


def _described(name, tensor, rows):
    return {"name": name, "dtype": tensor.dtype, "shape": [rows, *(side or -1 for side in tensor.shape[1:])]}
