"""Predictions for WAV files with an export: LiteRT and labels; no TensorFlow."""

import numpy as np

from tfpar.data.wav import read_wav
from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.labels import label_probabilities, read_labels
from tfpar.export.bundle.model_file import load_model
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.generic.inputs import InputKind
from tfpar.tasks.speech_recognition.clips import fit_length, trim
from tfpar.tasks.speech_recognition.transcripts import decode_transcript

TASK = "speech"
FRONT_END = "front_end.tflite"  # beside files for microcontrollers, which take what it makes


class SpeechPredictor:
    """Recognizer of speech with an exported model.

    Args:
        bundle: the export of a recognizer.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Attributes:
        input_kind: `InputKind`.
        labels: names of the classes; of strings, the symbols.
        has_strings: whether a prediction is a string of symbols.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    input_kind = InputKind(("path",), ("audio",), (".wav",))

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        shape = self._model.outputs["probabilities"][0]
        self.has_strings = len(shape) == 3
        self.labels = read_labels(bundle, shape[-1] - self.has_strings)  # class 0 of strings is the blank
        self._rate_hz = int(bundle.manifest["rate_hz"])
        self._samples = int(bundle.manifest["samples"])
        if self._rate_hz < 1000 or self._samples < 1:
            raise ValueError(f"rate_hz {self._rate_hz}, samples {self._samples}")
        self._front_end: TFLiteModel | None = None
        if "front_end" in bundle.manifest:
            self._front_end = TFLiteModel(bundle.read(FRONT_END), name=FRONT_END)

    def __call__(self, audio: str | np.ndarray) -> dict:
        """Recognize one clip.

        Args:
            audio: path of a WAV file of any rate, width and number of channels; or float (samples,) in [-1, 1] at the
                model's rate.

        Returns:
            {"input", "label"} and of a word "probabilities", by label. A file without a sound has the label None.

        Raises:
            UserError: the file cannot be read.
        """
        signal = trim(self._read(audio), self._rate_hz)
        if not len(signal):
            return {"input": audio, "label": None}
        probabilities = self._probabilities(fit_length(signal, self._samples))
        if probabilities.ndim == 1:
            return {"input": audio, **label_probabilities(self.labels, probabilities)}
        return {"input": audio, "label": decode_transcript(probabilities, self.labels)}

    def _read(self, audio):
        if not isinstance(audio, np.ndarray):
            return read_wav(audio, self._rate_hz)
        if audio.ndim != 1 or audio.dtype.kind != "f" or not (np.abs(audio) <= 1).all():
            raise UserError(
                f"audio must be float (samples,) from -1 to 1 at {self._rate_hz} Hz; got {audio.dtype} of the shape "
                f"{audio.shape}"
            )
        return audio

    def _probabilities(self, audio):
        """Return the probabilities of a clip, float (samples,)."""
        given = audio if self._front_end is None else _spectrogram(self._front_end, audio)
        ((name, (shape, _)),) = self._model.inputs.items()
        return self._model(**{name: given.reshape(shape)})["probabilities"][0]


def _spectrogram(front_end: TFLiteModel, audio: np.ndarray) -> np.ndarray:
    """Compute log-mel frames; the front end of a stream makes one at a time."""
    ((name, (shape, _)),) = front_end.inputs.items()
    return np.concatenate(
        [next(iter(front_end(**{name: piece}).values())) for piece in audio.reshape(-1, *shape)], axis=1
    )
