"""Base class for exporting a network for images."""

import dataclasses
from pathlib import Path

import numpy as np

from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.generic.measured_export import MeasuredExport

_INPUT = (
    "Input: float32 (1, {height}, {width}, {channels}), grey or red, green, blue from 0 to 255; the network itself "
    "normalizes it to mean 0 and deviation 1 (mean {mean:.2f}, deviation {deviation:.2f}). Images of other sizes are "
    "scaled until they fit and padded with black."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageExport(MeasuredExport):
    """Base class for exporting a network for images.

    Attributes:
        model: float32 (batch, height, width, channels) "image" -> one output.
        normalization: "mean" and "deviation" of the pixels, which the model's first layer applies.
        test_images: uint8 (examples, height, width, channels).
        limits: the card's section on limits.
    """

    normalization: dict[str, float]
    test_images: np.ndarray
    limits: str

    def make_input_fields(self) -> dict:
        """Make the manifest's fields for the input: height, width, channels and normalization."""
        height, width, channels = self.test_images.shape[1:]
        return {"image": {"height": height, "width": width, "channels": channels}, "normalisation": self.normalization}

    def describe_input(self) -> str:
        """Describe the input for the card."""
        fields = self.make_input_fields()
        return _INPUT.format(**fields["image"], **fields["normalisation"])

    def run_keras(self, images: np.ndarray) -> np.ndarray:
        """Run the Keras model on uint8 images."""
        return self.model.predict(images.astype(np.float32), batch_size=100, verbose=0)

    def run_tflite(self, path: Path, images: np.ndarray) -> np.ndarray:
        """Run a TFLite file on uint8 images."""
        model, name = TFLiteModel(path), self.model.output_names[0]
        return np.concatenate([model(image=image[None].astype(np.float32))[name] for image in images])
