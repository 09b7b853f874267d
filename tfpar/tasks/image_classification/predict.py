"""Answers for image files from an export: Pillow, LiteRT, labels; no TensorFlow."""

import numpy as np

from tfpar.data.images.files import SUFFIXES
from tfpar.data.images.input_image import read_image
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.labels import label_probabilities, read_labels
from tfpar.export.bundle.model_file import load_model
from tfpar.export.generic.inputs import InputKind

TASK = "image_classification"


class ImagePredictor:
    """Classifies images with an exported model.

    Args:
        bundle: the export of an image classifier.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Attributes:
        input_kind: `InputKind`.
        labels: names of the classes.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    input_kind = InputKind(("path",), ("image",), SUFFIXES)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        self.labels = read_labels(bundle, self._model.outputs["probabilities"][0][-1])
        self._shape = self._model.inputs["image"][0][1:]

    def __call__(self, image: str | np.ndarray) -> dict:
        """Classify one image, a file's path or pixels; see `read_image`.

        Returns:
            {"input", "label", "probabilities" (by label)}.
        """
        probabilities = self._model(image=read_image(image, self._shape)[None])["probabilities"][0]
        return {"input": image, **label_probabilities(self.labels, probabilities)}
