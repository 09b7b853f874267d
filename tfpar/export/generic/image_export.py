"""What is exported with a network for images of any task."""

import dataclasses

import numpy as np

from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.generic.measured_export import MeasuredExport

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
