"""A text classifier in two: the table of embeddings for the host, and a file for the chip that runs in TFLite Micro."""

from pathlib import Path

import keras
import numpy as np

from tfpar.export.embedding_cut import INPUT, cut_at_embeddings
from tfpar.export.micro_process import run_in_micro
from tfpar.export.samples import sample_inputs
from tfpar.export.to_tflite import tflite


class MicroText:
    """Both parts of a classifier.

    Args:
        model: see `cut_at_embeddings`.
        calibration: a dataset of batches of tokens; see `tfpar.export.samples.sample_inputs`.
        sequence_length: steps of the file's input.

    Attributes:
        table: float32 (vocabulary, features).

    Raises:
        UserError: the model cannot be cut.
    """

    def __init__(self, model: keras.Model, calibration, sequence_length: int):
        self.table, self._rest = cut_at_embeddings(model)
        self._sequence_length = sequence_length
        (tokens,) = sample_inputs(model, calibration, sequence_length).values()
        self._calibration = {INPUT: self.table[tokens]}

    def write(self, path: Path, format_name: str, form: str) -> dict:
        """Writes the chip's file; returns the report of `tflite`."""
        return tflite(
            self._rest,
            path,
            quantize=format_name,
            calibration=self._calibration,
            sequence_length=self._sequence_length,
            form=form,
            target="micro",
        )

    def probabilities(self, path: Path, tokens: np.ndarray) -> np.ndarray:
        """What the file answers in TFLite Micro: float32 (rows, classes) for int32 (rows, sequence_length)."""
        run = run_in_micro(path.read_bytes(), {INPUT: self.table[tokens][:, None]})
        (probabilities,) = run.outputs.values()
        return probabilities[:, 0]
