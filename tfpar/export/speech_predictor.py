"""Answers for WAV files from an export: LiteRT and labels; no TensorFlow."""

import numpy as np

from tfpar.data.clips import fit_length, trim
from tfpar.data.transcripts import decode
from tfpar.data.wav import read_wav
from tfpar.export.bundle import Bundle
from tfpar.export.bundle_model import load_model
from tfpar.export.interpreter import TFLiteModel
from tfpar.export.labels import by_label, read_labels

TASK = "speech"
FRONT_END = "front_end.tflite"  # beside files for microcontrollers, which take what it makes


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
        self._samples = int(bundle.manifest.get("samples"))
        self._front_end = None
        if "front_end" in bundle.manifest:
            self._front_end = TFLiteModel(bundle.read(FRONT_END), name=FRONT_END)

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
        probabilities = self._probabilities(fit_length(signal, self._samples))
        if probabilities.ndim == 1:
            return {"input": path, **by_label(self._labels, probabilities)}
        return {"input": path, "label": decode(probabilities, self._labels)}

    def _probabilities(self, audio):
        """Of a clip, float (samples,)."""
        given = self._spectrogram(audio) if self._front_end else audio
        ((name, (shape, _)),) = self._model.inputs.items()
        return self._model(**{name: given.reshape(shape)})["probabilities"][0]

    def _spectrogram(self, audio):
        """Log-mel frames; the front end of a stream makes one at a time."""
        ((name, (shape, _)),) = self._front_end.inputs.items()
        return np.concatenate(
            [next(iter(self._front_end(**{name: part}).values())) for part in audio.reshape(-1, *shape)], axis=1
        )
