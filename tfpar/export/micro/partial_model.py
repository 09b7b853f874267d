"""The part of a model that is left to a microcontroller, behind what its host computes."""

from pathlib import Path

import keras
import numpy as np

from tfpar.export.conversion.to_tflite import tflite
from tfpar.export.micro.interpreter_process import run_in_micro


class MicroPart:
    """A file for the chip that takes what the host makes.

    Args:
        model: one input -> one output.
        calibration: float32 (rows, ...), what the host makes of training examples, as long as the file's input.
    """

    def __init__(self, model: keras.Model, calibration: np.ndarray):
        (given,) = model.inputs
        self._model, self._input, self._calibration = model, given.name, calibration

    def write(self, path: Path, format_name: str, form: str) -> dict:
        """Writes the file; returns the report of `tflite`."""
        return tflite(
            self._model,
            path,
            quantize=format_name,
            calibration={self._input: self._calibration},
            sequence_length=self._calibration.shape[1],
            form=form,
            target="micro",
            padding="right",
        )

    def answers(self, path: Path, made: np.ndarray) -> np.ndarray:
        """What the file answers in TFLite Micro for rows that the host has made, float32 (rows, ...)."""
        (answers,) = run_in_micro(path.read_bytes(), {self._input: made[:, None]}).outputs.values()
        return answers[:, 0]
