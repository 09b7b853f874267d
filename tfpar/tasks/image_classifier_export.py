"""Export of image classifiers, of any task."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.export.bundle.labels import write_labels
from tfpar.export.generic.image_export import ImageExport
from tfpar.export.micro.interpreter_process import run_in_micro
from tfpar.export.report.plots import draw_confusion_matrix, draw_learning_curve
from tfpar.tasks.images import CLASSIFICATION
from tfpar.tasks.wrong_predictions import draw_wrong_predictions


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageClassifierExport(ImageExport):
    """Export of an image classifier.

    Attributes:
        model: its output is float (batch, classes) "probabilities".
        class_names: by class.
    """

    class_names: tuple[str, ...]

    def make_manifest_fields(self) -> dict[str, Any]:
        return {"task": CLASSIFICATION, **self.make_input_fields()}

    def make_card_sections(self) -> dict[str, str]:
        return {
            "input": f"Classes: {', '.join(self.class_names)}. {self.describe_input()}",
            "pictures": "![confusion matrix](confusion_matrix.png)\n\n![wrong predictions](wrong_predictions.png)",
            "use": "    tfpar predict . picture.png\n\n`labels.txt` names the classes.",
            "limits": self.limits,
        }

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        write_labels(directory, self.class_names)
        draw_learning_curve(self.history, directory / "learning_curve.png")
        names = self.class_names
        draw_confusion_matrix(self.test_labels, predictions, names, directory / "confusion_matrix.png")
        draw_wrong_predictions(
            self.test_images, self.test_labels, predictions, names, directory / "wrong_predictions.png"
        )

    def predict_with_keras(self) -> np.ndarray:
        return np.argmax(self.run_keras(self.test_images), axis=-1)

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        return np.argmax(self.run_tflite(path, self.test_images[rows]), axis=-1)

    def predict_with_micro(self, path: Path, rows: np.ndarray) -> np.ndarray:
        images = self.test_images[rows][:, None].astype(np.float32)  # one at a time
        outputs = run_in_micro(path.read_bytes(), {"image": images}).outputs[self.model.output_names[0]]
        return np.argmax(outputs[:, 0], axis=-1)
