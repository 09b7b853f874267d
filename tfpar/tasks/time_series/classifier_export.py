"""Export of classifiers of series, and of regressors."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.export.bundle.labels import write_labels
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.generic.measured_export import MeasuredExport
from tfpar.export.micro.interpreter_process import run_in_micro
from tfpar.export.report.html_report import Table
from tfpar.export.report.plots import draw_confusion_matrix, draw_learning_curve
from tfpar.tasks.time_series.labeled import CLASSES, MULTI_LABEL, LabeledSeriesData
from tfpar.tasks.time_series.predict import CLASSIFICATION, describe_input

_USE = """    tfpar predict . series.csv

A csv file has a header, a row for each step and a column for each channel; `.ts` and `.npz` files hold several
series."""

_LIMITS = (
    "It knows series like those that it was trained on, at the same sampling rate, and gives a confident prediction "
    "for any other series, too."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesClassifierExport(MeasuredExport):
    """Export of a classifier of series, or of a regressor, measured on its test set.

    Attributes:
        model: float32 (batch, steps, columns) "series" -> float (batch, classes) "probabilities" or (batch, 1)
            "number".
        data: that it was trained on.
        test_series: float32 (examples, steps, columns), as the model takes them.
        test_outputs: float (examples, classes) or (examples, 1), of the trained model.
        streaming: add a signature for steps.
        class_scores: of the trained model on the test set, see `tfpar.tasks.scores.score_classes`.
    """

    data: LabeledSeriesData
    test_series: np.ndarray
    test_outputs: np.ndarray
    streaming: bool
    class_scores: list[dict]

    def make_manifest_fields(self) -> dict[str, Any]:
        series = {
            "steps": self.data.steps,
            "channels": list(self.data.channels),
            "has_indicators": self.data.has_indicators,
            "label_kind": self.data.label_kind,
        }
        return {"task": CLASSIFICATION, "series": series}

    def make_card_sections(self) -> dict[str, str]:
        classes = f"Classes: {', '.join(self.data.class_names)}. " if self.data.class_names else "Output: a number. "
        return {
            "input": classes + describe_input(self.make_manifest_fields()["series"]),
            "pictures": "![confusion matrix](confusion_matrix.png)" if self._has_classes else "",
            "use": _USE,
            "limits": _LIMITS,
        }

    @property
    def _has_classes(self) -> bool:
        return self.data.label_kind == CLASSES

    def make_report_tables(self) -> dict[str, Table]:
        if not self._has_classes:
            return {}
        names = ("label", "examples", "predicted", "precision", "recall", "f1")
        return {"Classes": Table(names, [[entry[name] for name in names] for entry in self.class_scores])}

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        if self.data.class_names:
            write_labels(directory, self.data.class_names)
        draw_learning_curve(self.history, directory / "learning_curve.png")
        if self._has_classes:
            names, path = self.data.class_names, directory / "confusion_matrix.png"
            draw_confusion_matrix(self.test_labels, predictions, names, path)

    def predict_with_keras(self) -> np.ndarray:
        return self._decide(self.test_outputs)

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        model = TFLiteModel(path)
        outputs = [next(iter(model(series=self.test_series[row][None]).values())) for row in rows]
        return self._decide(np.concatenate(outputs))

    def predict_with_micro(self, path: Path, rows: np.ndarray) -> np.ndarray:
        (outputs,) = run_in_micro(path.read_bytes(), {"series": self.test_series[rows][:, None]}).outputs.values()
        return self._decide(outputs[:, 0])

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        """Return classes (examples,), truth values (examples, classes) or numbers (examples, 1)."""
        if self._has_classes:
            return np.argmax(outputs, axis=-1)
        return outputs >= 0.5 if self.data.label_kind == MULTI_LABEL else outputs

    def score(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        if self.data.class_names:
            return super().score(predictions, rows)
        return {"mae": float(np.abs(predictions - self.test_labels[rows]).mean())}

    def is_correct(self, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if self._has_classes:
            return super().is_correct(predictions, rows)
        if self.data.class_names:
            return (predictions == (self.test_labels[rows] >= 0.5)).all(axis=1)
        # A regressor is right where its error is below the deviation of the targets.
        return (np.abs(predictions - self.test_labels[rows]) < np.std(self.test_labels)).all(axis=1)

    def tflite_options(self) -> dict[str, Any]:
        return {"sequence_length": self.data.steps, "streaming": self.streaming}

    def make_late_manifest_fields(self, directory: Path, formats: tuple[str, ...]) -> dict[str, Any]:
        if self.streaming:
            return {"signatures": self.read_file_signatures(directory, formats)}
        return super().make_late_manifest_fields(directory, formats)
