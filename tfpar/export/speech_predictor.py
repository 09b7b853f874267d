"""Answers for WAV files from an export: LiteRT and labels; no TensorFlow."""

import numpy as np

from tfpar.data.clips import fit_length, trim
from tfpar.data.transcripts import decode
from tfpar.data.wav import read_wav
from tfpar.export.bundle import Bundle
from tfpar.export.bundle_model import load_model
from tfpar.export.labels import by_label, read_labels

TASK = "speech"


class SpeechPredictor:
    """Recognises speech with an exported model.

    Args:
        bundle: the export of a recogniser.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        self._labels = read_labels(bundle)
        self._rate_hz = int(bundle.manifest.get("rate_hz"))

    def __call__(self, path: str) -> dict:
        """Answers for one WAV file of any rate, width and number of channels.

        Returns:
            {"input", "label"} and of a word "probabilities", by label. A file without a sound has the label None.

        Raises:
            UserError: the file cannot be read.
        """
        signal = trim(read_wav(path, self._rate_hz), self._rate_hz)
        if not len(signal):
            return {"input": path, "label": None}
        probabilities = run(self._model, signal)
        if probabilities.ndim == 1:
            return {"input": path, **by_label(self._labels, probabilities)}
        return {"input": path, "label": decode(probabilities, self._labels)}


def run(model, signal: np.ndarray) -> np.ndarray:
    """Probabilities of a signal, float (samples,), which is brought into the shape of the file's input."""
    shape = model.inputs["audio"][0]
    audio = fit_length(signal, int(np.prod(shape))).reshape(shape)
    return model(audio=audio)["probabilities"][0]
