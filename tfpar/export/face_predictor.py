"""Says whether two pictures show one person; Pillow and LiteRT, no TensorFlow."""

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle import Bundle
from tfpar.export.bundle_model import load_model
from tfpar.export.image_predictor import read_image

TASK = "face_verification"


class FacePredictor:
    """Compares faces with an exported model.

    Args:
        bundle: the export of a face embedder.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Attributes:
        inputs_each: how many pictures an answer is about.

    Raises:
        UserError: the export lacks the format, a file or its threshold, or a file was changed.
    """

    inputs_each = 2

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        self._threshold = bundle.manifest.get("threshold")
        if not isinstance(self._threshold, float):
            raise UserError(f"{bundle.directory}: the manifest's threshold must be a number; got {self._threshold!r}")
        self._shape = self._model.inputs["image"][0][1:]

    def __call__(self, one: str, other: str) -> dict:
        """Compares two image files.

        Returns:
            {"input": both paths, "similarity": the cosine, "threshold", "same_person"}.

        Raises:
            UserError: a file cannot be read.
        """
        similarity = float(self._embedding(one) @ self._embedding(other))
        return {
            "input": [one, other],
            "similarity": similarity,
            "threshold": self._threshold,
            "same_person": similarity >= self._threshold,
        }

    def _embedding(self, path):
        image = read_image(path, self._shape)
        one, mirrored = (self._model(image=given[None])["embedding"] for given in (image, image[:, ::-1]))
        return averaged(one, mirrored)[0]


def averaged(one: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """The mean direction of two embeddings of each picture: float (pictures, size), of length 1."""
    both = one.astype(np.float64) + mirrored
    return both / np.maximum(np.linalg.norm(both, axis=-1, keepdims=True), 1e-12)
