"""What is exported with a network that compares faces."""

import dataclasses

import numpy as np

from tfpar.export.generic.image_export import ImageExport
from tfpar.export.report.plots import draw_learning_curve
from tfpar.tasks.face_recognition.plots import draw_roc
from tfpar.tasks.face_recognition.predict import TASK, average_directions
from tfpar.tasks.face_recognition.verification import equal_error_rate, pair_cosines


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceExport(ImageExport):
    """What leaves with a network that compares faces.

    Attributes:
        model: its output is float (batch, size) "embedding", of length 1.
        threshold: pictures whose cosine is at least this are said to show one person.
    """

    threshold: float

    def task_facts(self):
        return {"task": TASK, "threshold": self.threshold, **self.input_facts()}

    def card_words(self):
        return {
            "input": f"Threshold of the cosine: {self.threshold:.4f}. {self.input_words()}",
            "pictures": "![error rates](roc.png)",
            "use": "    tfpar predict . one.png other.png\n\nThe embedding of a picture is the mean of its own and its "
            "mirror image's, brought to length 1.",
            "limits": self.limits,
        }

    def write_surroundings(self, directory, answers):
        draw_learning_curve(self.history, directory / "learning_curve.png")
        draw_roc(*pair_cosines(answers, self.test_labels), self.threshold, directory / "roc.png")

    def keras_answers(self):
        return average_directions(
            self.keras_outputs(self.test_images), self.keras_outputs(self.test_images[:, :, ::-1])
        )

    def tflite_answers(self, path, rows):
        images = self.test_images[rows]
        return average_directions(self.tflite_outputs(path, images), self.tflite_outputs(path, images[:, :, ::-1]))

    def score(self, answers, rows):
        return {"eer": equal_error_rate(*pair_cosines(answers, self.test_labels[rows]))[0]}

    def is_right(self, answers, rows):
        """Which pairs of pictures the threshold tells rightly; genuine pairs first."""
        genuine, impostor = pair_cosines(answers, self.test_labels[rows])
        return np.concatenate([genuine >= self.threshold, impostor < self.threshold])
