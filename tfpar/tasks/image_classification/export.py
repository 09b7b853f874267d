"""What leaves with a network for images: a classifier, or one that compares faces."""

import dataclasses

import numpy as np

from tfpar.export.face_predictor import TASK as FACES
from tfpar.export.face_predictor import averaged
from tfpar.export.image_pictures import draw_roc, draw_wrong_predictions
from tfpar.export.image_predictor import TASK as CLASSES
from tfpar.export.interpreter import TFLiteModel
from tfpar.export.labels import write_labels
from tfpar.export.measured_export import MeasuredExport
from tfpar.export.micro_process import run_in_micro
from tfpar.export.pictures import draw_confusion_matrix, draw_learning_curve
from tfpar.export.verification import equal_error_rate, pair_cosines

_INPUT = (
    "Input: float32 (1, {height}, {width}, {channels}), grey or red, green, blue from 0 to 255; the network itself "
    "brings it to mean 0 and deviation 1 (mean {mean:.2f}, deviation {deviation:.2f}). Images of other sizes are "
    "scaled until they fit, and filled up with black."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageExport(MeasuredExport):
    """What leaves with a network for images.

    Attributes:
        model: float32 (batch, height, width, channels) "image" -> one output.
        normalisation: "mean" and "deviation" of the pixels; the model's own first layer applies them.
        test_images: uint8 (examples, height, width, channels).
        limits: what the card says of them.
    """

    normalisation: dict[str, float]
    test_images: np.ndarray
    limits: str

    def input_facts(self) -> dict:
        """Height, width, channels and normalisation."""
        height, width, channels = self.test_images.shape[1:]
        return {"image": {"height": height, "width": width, "channels": channels}, "normalisation": self.normalisation}

    def input_words(self) -> str:
        """The same in words."""
        facts = self.input_facts()
        return _INPUT.format(**facts["image"], **facts["normalisation"])

    def keras_outputs(self, images: np.ndarray) -> np.ndarray:
        """The model's output for uint8 images."""
        return self.model.predict(images.astype(np.float32), batch_size=100, verbose=0)

    def tflite_outputs(self, path, images: np.ndarray) -> np.ndarray:
        """The output of a TFLite file for uint8 images."""
        model, name = TFLiteModel(path), self.model.output_names[0]
        return np.concatenate([model(image=image[None].astype(np.float32))[name] for image in images])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageClassifierExport(ImageExport):
    """What leaves with an image classifier.

    Attributes:
        model: its output is float (batch, classes) "probabilities".
        class_names: by class.
    """

    class_names: tuple[str, ...]

    def task_facts(self):
        return {"task": CLASSES, **self.input_facts()}

    def card_words(self):
        return {
            "input": f"Classes: {', '.join(self.class_names)}. {self.input_words()}",
            "pictures": "![confusion matrix](confusion_matrix.png)\n\n![wrong predictions](wrong_predictions.png)",
            "use": "    tfpar predict . picture.png\n\n`labels.txt` names the classes.",
            "limits": self.limits,
        }

    def write_surroundings(self, directory, answers):
        write_labels(directory, self.class_names)
        draw_learning_curve(self.history, directory / "learning_curve.png")
        names = self.class_names
        draw_confusion_matrix(self.test_labels, answers, names, directory / "confusion_matrix.png")
        draw_wrong_predictions(self.test_images, self.test_labels, answers, names, directory / "wrong_predictions.png")

    def keras_answers(self):
        return np.argmax(self.keras_outputs(self.test_images), axis=-1)

    def tflite_answers(self, path, rows):
        return np.argmax(self.tflite_outputs(path, self.test_images[rows]), axis=-1)

    def micro_answers(self, path, rows):
        images = self.test_images[rows][:, None].astype(np.float32)  # one at a time
        outputs = run_in_micro(path.read_bytes(), {"image": images}).outputs[self.model.output_names[0]]
        return np.argmax(outputs[:, 0], axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceExport(ImageExport):
    """What leaves with a network that compares faces.

    Attributes:
        model: its output is float (batch, size) "embedding", of length 1.
        threshold: pictures whose cosine is at least this are said to show one person.
    """

    threshold: float

    def task_facts(self):
        return {"task": FACES, "threshold": self.threshold, **self.input_facts()}

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
        return averaged(self.keras_outputs(self.test_images), self.keras_outputs(self.test_images[:, :, ::-1]))

    def tflite_answers(self, path, rows):
        images = self.test_images[rows]
        return averaged(self.tflite_outputs(path, images), self.tflite_outputs(path, images[:, :, ::-1]))

    def score(self, answers, rows):
        return {"eer": equal_error_rate(*pair_cosines(answers, self.test_labels[rows]))[0]}

    def is_right(self, answers, rows):
        """Which pairs of pictures the threshold tells rightly; genuine pairs first."""
        genuine, impostor = pair_cosines(answers, self.test_labels[rows])
        return np.concatenate([genuine >= self.threshold, impostor < self.threshold])
