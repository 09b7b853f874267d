"""Export of speech recognizers."""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.export.bundle.labels import write_labels
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.samples import sample_inputs
from tfpar.export.conversion.to_tflite import tflite
from tfpar.export.generic.measured_export import MeasuredExport
from tfpar.export.micro.partial_model import PartialModel
from tfpar.export.report.plots import draw_confusion_matrix, draw_learning_curve
from tfpar.tasks.speech_recognition.front_end_cut import cut_behind_front_end
from tfpar.tasks.speech_recognition.predict import FRONT_END, TASK
from tfpar.tasks.speech_recognition.stream_speed import real_time_factor
from tfpar.tasks.speech_recognition.transcripts import decode_transcript, spell_labels

_INPUT = "Says: {classes}. Input: {samples} samples at {rate_hz} Hz, one channel, between -1 and 1."

_USE = """    tfpar predict . a.wav

`labels.txt` names the classes. The front end is inside: give raw audio, without silence at the ends and in the middle
of zeros, as `tfpar predict` does. In the int8 file the front end computes in float32: powers span more than 8 bits."""

_LIMITS = """\
It knows these words alone, and gives one of them for any other sound too. If it was trained on synthesized voices, its
accuracy on people is lower than the one above."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechExport(MeasuredExport):
    """Export of a speech recognizer, measured on its test set.

    For the target "micro" it leaves in two: the front end in float32, of a stream for one frame, and what follows it.

    Attributes:
        model: float32 "audio" (batch, samples) -> float "probabilities" (batch, classes), of strings (batch, steps,
            1 + symbols); or a stream's, "audio" (batch, frames, samples of a frame).
        class_names: by class; of strings, the symbols.
        rate_hz: of the audio.
        test_audio: float32 (examples, samples), as the model takes it.
        test_labels: int32 (examples,), or (examples, symbols) padded by -1.
        streaming: add a signature for steps.
    """

    class_names: tuple[str, ...]
    rate_hz: int
    test_audio: np.ndarray
    streaming: bool = False

    @property
    def _has_words(self) -> bool:
        return self.test_labels.ndim == 1

    def make_manifest_fields(self) -> dict[str, Any]:
        return {"task": TASK, "rate_hz": self.rate_hz, "samples": int(np.prod(self.test_audio.shape[1:]))}

    def make_card_sections(self) -> dict[str, str]:
        return {
            "input": _INPUT.format(classes=", ".join(self.class_names), **self.make_manifest_fields()),
            "pictures": "![confusion matrix](confusion_matrix.png)" if self._has_words else "",
            "use": _USE,
            "limits": _LIMITS,
        }

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        write_labels(directory, self.class_names)
        draw_learning_curve(self.history, directory / "learning_curve.png")
        if self._has_words:
            classes = np.array([self.class_names.index(output) for output in predictions])
            draw_confusion_matrix(self.test_labels, classes, self.class_names, directory / "confusion_matrix.png")

    def predict_with_keras(self) -> np.ndarray:
        rows = self.model.predict(self.test_audio, batch_size=64, verbose=0)
        return np.array([decode_transcript(row, self.class_names) for row in rows])

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        model = TFLiteModel(path)
        predictions = (model(audio=self.test_audio[row][None])["probabilities"][0] for row in rows)
        return np.array([decode_transcript(output, self.class_names) for output in predictions])

    def is_correct(self, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        truths = spell_labels(self.test_labels[rows], self.class_names)
        return np.array([output == truth for output, truth in zip(predictions, truths, strict=True)], bool)

    def tflite_options(self) -> dict[str, Any]:
        return {"streaming": self.streaming}

    def write_file(self, path: Path, name: str, rows: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        if self.target == "micro":
            front_end, piece = self._cut
            report = piece.write(path, name, self.form)
            made = front_end.predict(self.test_audio[rows], batch_size=64, verbose=0)
            return report, np.array([decode_transcript(row, self.class_names) for row in piece.predict(path, made)])
        report, predictions = super().write_file(path, name, rows)
        if self.streaming:
            report["real_time_factor"] = real_time_factor(path, self.test_audio[0], self.rate_hz)
            print(f"{name}: a step is {report['real_time_factor']:.0f} times faster than its sound", file=sys.stderr)
        return report, predictions

    def make_late_manifest_fields(self, directory: Path, formats: tuple[str, ...]) -> dict[str, Any]:
        if self.target != "micro":
            return {"signatures": self.read_file_signatures(directory, formats)}
        path = directory / FRONT_END
        report = tflite(
            self._cut[0], path, sequence_length=1 if self.streaming else None, target="micro", padding="right"
        )
        return {"front_end": {**report, "path": FRONT_END}, **super().make_late_manifest_fields(directory, formats)}

    @functools.cached_property
    def _cut(self):
        """The front end, and the chip's other part."""
        front_end, rest = cut_behind_front_end(self.model)
        (audio,) = sample_inputs(self.model, self.calibration, None).values()
        return front_end, PartialModel(rest, front_end.predict(audio, verbose=0))
