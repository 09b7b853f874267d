"""Export of networks that compare faces."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.export.generic.image_export import ImageExport
from tfpar.export.report.plots import draw_learning_curve
from tfpar.tasks.face_recognition.plots import draw_roc
from tfpar.tasks.face_recognition.predict import TASK, average_directions
from tfpar.tasks.face_recognition.verification import equal_error_rate, pair_cosines


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceExport(ImageExport):
    """Export of a network that compares faces, measured on pairs of the test set.

    Attributes:
        model: its output is float (batch, size) "embedding", of length 1.
        threshold: pictures whose cosine is at least this are classified as one person.
    """

    threshold: float

    def make_manifest_fields(self) -> dict[str, Any]:
        return {"task": TASK, "threshold": self.threshold, **self.make_input_fields()}

    def make_card_sections(self) -> dict[str, str]:
        return {
            "input": f"Threshold of the cosine: {self.threshold:.4f}. {self.describe_input()}",
            "pictures": "![error rates](roc.png)",
            "use": "    tfpar predict . one.png other.png\n\nThe embedding of a picture is the mean of its own and its "
            "mirror image's, brought to length 1.",
            "limits": self.limits,
        }

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        draw_learning_curve(self.history, directory / "learning_curve.png")
        draw_roc(*pair_cosines(predictions, self.test_labels), self.threshold, directory / "roc.png")

    def predict_with_keras(self) -> np.ndarray:
        return average_directions(self.run_keras(self.test_images), self.run_keras(self.test_images[:, :, ::-1]))

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        images = self.test_images[rows]
        return average_directions(self.run_tflite(path, images), self.run_tflite(path, images[:, :, ::-1]))

    def score(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        return {"eer": equal_error_rate(*pair_cosines(predictions, self.test_labels[rows]))[0]}

    def is_correct(self, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return whether each pair is on its side of the threshold, bool; genuine pairs first."""
        genuine, impostor = pair_cosines(predictions, self.test_labels[rows])
        return np.concatenate([genuine >= self.threshold, impostor < self.threshold])
