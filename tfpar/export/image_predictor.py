"""Answers for image files from an export: Pillow, LiteRT, labels; no TensorFlow."""

import numpy as np

from tfpar.data.image_files import UndecodableImageError, decoded, fitted
from tfpar.errors import UserError
from tfpar.export.bundle import Bundle
from tfpar.export.bundle_model import load_model
from tfpar.export.labels import by_label, read_labels
from tfpar.files import read_file

TASK = "image_classification"


class ImagePredictor:
    """Classifies images with an exported model.

    Args:
        bundle: the export of an image classifier.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        self._labels = read_labels(bundle)
        self._shape = self._model.inputs["image"][0][1:]

    def __call__(self, path: str) -> dict:
        """Returns {"input", "label", "probabilities" (by label)}; raises UserError if there is no image at `path`."""
        probabilities = self._model(image=read_image(path, self._shape)[None])["probabilities"][0]
        return {"input": path, **by_label(self._labels, probabilities)}


def read_image(path: str, shape) -> np.ndarray:
    """Reads an image file as a model's input.

    Args:
        path: of a file that `decoded` reads.
        shape: height, width and channels.

    Returns:
        float32 of `shape`, from 0 to 255.

    Raises:
        UserError: the file cannot be read, or is no such image.
    """
    try:
        image = decoded(read_file(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; an input must be an image file") from error
    except UndecodableImageError as error:
        raise UserError(f"{path} is no image that can be read, or is damaged: {error}") from error
    return fitted(image, *map(int, shape)).astype(np.float32)
