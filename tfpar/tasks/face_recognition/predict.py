"""Verification of faces with an export; Pillow and LiteRT, no TensorFlow."""

import math

import numpy as np

from tfpar.data.images.files import SUFFIXES
from tfpar.data.images.input_image import read_image
from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.model_file import load_model
from tfpar.export.generic.inputs import InputKind

TASK = "face_verification"
CALIBRATION = "threshold_set_by"  # in the manifest: how `tfpar evaluate` set the threshold


class FacePredictor:
    """Comparison of faces with an exported model.

    Args:
        bundle: the export of a face embedder.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Attributes:
        input_kind: `InputKind`.
        threshold: two pictures whose cosine is at least this are classified as one person.
        calibrated: whether the threshold was set on pictures of the user's own camera, by `tfpar evaluate` or by the
            caller. Else it is that of the training set's test pairs, and nothing is decided by it.

    Raises:
        UserError: the export lacks the format, a file or its threshold, or a file was changed.
    """

    input_kind = InputKind(("path", "other_path"), ("image", "other_image"), SUFFIXES)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        threshold = bundle.manifest.get("threshold")
        if not isinstance(threshold, float) or not math.isfinite(threshold):
            raise UserError(f"{bundle.directory}: the manifest's threshold must be a number; got {threshold!r}")
        self.threshold, self.calibrated = threshold, CALIBRATION in bundle.manifest
        self._shape = self._model.inputs["image"][0][1:]
        self._embeddings: dict[str, np.ndarray] = {}

    def set_threshold(self, threshold: float) -> None:
        """Set the threshold that the caller vouches for; raise UserError if it is no cosine."""
        if not -1 <= threshold <= 1:
            raise UserError(f"--threshold must be a cosine, from -1 to 1; got {threshold}")
        self.threshold, self.calibrated = threshold, True

    def __call__(self, one: str | np.ndarray, other: str | np.ndarray) -> dict:
        """Compare two images, files' paths or pixels; see `read_image`.

        Returns:
            {"input": both, "similarity": the cosine, "threshold", "calibrated", "same_person": whether the cosine
            reaches the threshold, or "uncalibrated"}.

        Raises:
            UserError: a file cannot be read.
        """
        similarity = float(self.embedding(one) @ self.embedding(other))
        return {
            "input": [one, other],
            "similarity": similarity,
            "threshold": self.threshold,
            "calibrated": self.calibrated,
            "same_person": similarity >= self.threshold if self.calibrated else "uncalibrated",
        }

    def embedding(self, image: str | np.ndarray) -> np.ndarray:
        """Return the direction of an image, float64 (size,); that of a file is computed once."""
        if isinstance(image, np.ndarray):
            return self._embed(image)
        if image not in self._embeddings:
            self._embeddings[image] = self._embed(image)
        return self._embeddings[image]

    def _embed(self, image):
        pixels = read_image(image, self._shape)
        one, mirrored = (self._model(image=given[None])["embedding"] for given in (pixels, pixels[:, ::-1]))
        return average_directions(one, mirrored)[0]


def average_directions(one: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Return the mean direction of two embeddings of each picture: float (pictures, size), of length 1."""
    both = one.astype(np.float64) + mirrored
    return both / np.maximum(np.linalg.norm(both, axis=-1, keepdims=True), 1e-12)
