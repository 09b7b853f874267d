"""What is exported with a network that compares faces."""

import dataclasses

import numpy as np

from tfpar.export.generic.image_export import ImageExport
from tfpar.export.report.plots import draw_learning_curve
from tfpar.tasks.face_recognition.plots import draw_roc
from tfpar.tasks.face_recognition.predict import TASK, averaged
from tfpar.tasks.face_recognition.verification import equal_error_rate, pair_cosines


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceExport(ImageExport):
    """What leaves with a network that compares faces.

    Attributes:
        model: its output is float (batch, size) "embedding", of length 1.
        threshold: pictures whose cosine is at least this are said to show one person.
    """

    threshold: float

    def make_manifest_fields(self):
        return {"task": TASK, "threshold": self.threshold, **self.make_input_fields()}

    def make_card_sections(self):
        return {
            "input": f"Threshold of the cosine: {self.threshold:.4f}. {self.describe_input()}",
            "pictures": "![error rates](roc.png)",
            "use": "    tfpar predict . one.png other.png\n\nThe embedding of a picture is the mean of its own and its "
            "mirror image's, brought to length 1.",
            "limits": self.limits,
        }

    def write_task_files(self, directory, answers):
        draw_learning_curve(self.history, directory / "learning_curve.png")
        draw_roc(*pair_cosines(answers, self.test_labels), self.threshold, directory / "roc.png")

    def predict_with_keras(self):
        return averaged(self.run_keras(self.test_images), self.run_keras(self.test_images[:, :, ::-1]))

    def predict_with_tflite(self, path, rows):
        images = self.test_images[rows]
        return averaged(self.run_tflite(path, images), self.run_tflite(path, images[:, :, ::-1]))

    def score(self, answers, rows):
        return {"eer": equal_error_rate(*pair_cosines(answers, self.test_labels[rows]))[0]}

    def is_correct(self, answers, rows):
        """Which pairs of pictures the threshold tells rightly; genuine pairs first."""
        genuine, impostor = pair_cosines(answers, self.test_labels[rows])
        return np.concatenate([genuine >= self.threshold, impostor < self.threshold])
