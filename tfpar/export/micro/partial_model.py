"""The rest of a model that runs on a microcontroller, after the layers that run on its host."""

from pathlib import Path

import keras
import numpy as np

from tfpar.export.conversion.serving import serving_model
from tfpar.export.conversion.to_tflite import tflite
from tfpar.export.micro.interpreter_process import run_in_micro


class PartialModel:
    """A model for a microcontroller whose input is computed by the host.

    Args:
        model: one input -> one output.
        calibration: float32 (rows, ...), the host's outputs for training examples, as long as the file's input.
    """

    def __init__(self, model: keras.Model, calibration: np.ndarray):
        self._serving, self._calibration = serving_model(model), calibration
        (self._input,) = self._serving.input_names

    def write(self, path: Path, format_name: str, form: str) -> dict:
        """Write the file; return the report of `tflite`."""
        return tflite(
            self._serving,
            path,
            quantize=format_name,
            calibration={self._input: self._calibration},
            sequence_length=self._calibration.shape[1],
            form=form,
            target="micro",
            padding="right",
        )

    def predict(self, path: Path, inputs: np.ndarray) -> np.ndarray:
        """Run the file in TFLite Micro.

        Args:
            path: of the file.
            inputs: float32 (rows, ...), computed by the host.

        Returns:
            The outputs, (rows, ...).
        """
        (outputs,) = run_in_micro(path.read_bytes(), {self._input: inputs[:, None]}).outputs.values()
        return outputs[:, 0]
