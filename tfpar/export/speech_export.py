"""Leaves a recogniser of speech: every format measured on the test set, all in one directory or nothing."""

import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np

from tfpar.data.transcripts import decode, spelt
from tfpar.errors import UserError
from tfpar.export.bundle import write_bundle
from tfpar.export.described import described
from tfpar.export.formats import FORMATS
from tfpar.export.interpreter import TFLiteModel
from tfpar.export.pictures import draw_confusion_matrix, draw_learning_curve
from tfpar.export.speech_card import write_speech_card
from tfpar.export.speech_predictor import TASK
from tfpar.export.stream_speed import real_time_factor
from tfpar.export.to_saved_model import saved_model_in_bundle
from tfpar.export.to_tflite import tflite


@dataclasses.dataclass(frozen=True)
class SpeechExport:
    """What leaves with a recogniser, and what it is measured on.

    Attributes:
        model: float32 "audio" (batch, samples) -> float "probabilities" (batch, classes), of strings (batch, steps,
            1 + symbols); or a stream's, "audio" (batch, frames, samples of a frame).
        class_names: by class; of strings, the symbols.
        rate_hz: of the audio.
        test_audio: float32 (examples, samples), as the model takes it.
        test_labels: int32 (examples,), or (examples, symbols) padded by -1.
        calibration: a dataset of batches, or arrays by input name.
        history: of training.
        streaming: add a signature for steps.
        form, target: of the TFLite files; see `tflite`.
        facts: what the card and the manifest shall say: "name", "data", "split", "notice", "command", "metrics", ...
    """

    model: keras.Model
    class_names: tuple[str, ...]
    rate_hz: int
    test_audio: np.ndarray
    test_labels: np.ndarray
    calibration: object
    history: dict[str, list[float]]
    facts: dict
    streaming: bool = False
    form: str = "auto"
    target: str = "phone"

    def write(self, directory: Path | str, formats: tuple[str, ...], gate: bool = True) -> list[dict]:
        """Writes the export directory; see `TextClassifierExport.write`."""
        shape = self.test_audio.shape[1:]
        samples = int(np.prod(shape))
        manifest = {"task": TASK, "rate_hz": self.rate_hz, "samples": samples, **self.facts}
        answers = self._keras_answers()
        with write_bundle(directory, manifest) as temporary:
            self._write_surroundings(temporary, answers)
            manifest["exports"] = [self._write_format(temporary, name, answers, gate) for name in formats]
            manifest["signatures"] = self._signatures(temporary, formats)
            write_speech_card(temporary / "card.md", manifest, self.class_names)
        return [{**report, "path": str(Path(directory) / report["path"])} for report in manifest["exports"]]

    def _write_surroundings(self, directory, answers):
        (directory / "labels.txt").write_text("\n".join(self.class_names) + "\n", encoding="utf-8")
        draw_learning_curve(self.history, directory / "learning_curve.png")
        if self.test_labels.ndim == 1:
            classes = np.array([self.class_names.index(answer) for answer in answers])
            draw_confusion_matrix(self.test_labels, classes, self.class_names, directory / "confusion_matrix.png")

    def _write_format(self, directory, name, answers, gate):
        print(f"exporting {name} ...", file=sys.stderr)
        if name == "saved_model":
            return saved_model_in_bundle(self.model, directory)
        path = directory / f"model.{name}.tflite"
        report = tflite(
            self.model,
            path,
            quantize=name,
            calibration=self.calibration,
            form=self.form,
            target=self.target,
            streaming=self.streaming,
        )
        accuracy = self._accuracy(self._tflite_answers(path))
        if gate:
            self._gate(FORMATS[name], accuracy, self._accuracy(answers))
        report = {**report, "path": path.name, "metrics": {"accuracy": accuracy}}
        if self.streaming:
            report["real_time_factor"] = real_time_factor(path, self.test_audio[0], self.rate_hz)
            print(f"{name}: a step is {report['real_time_factor']:.0f} times faster than its sound", file=sys.stderr)
        return report

    def _gate(self, chosen, accuracy, expected):
        # Two examples either way are rounding at the decision boundary, not a loss.
        allowed = max(chosen.max_accuracy_loss, 2 / len(self.test_labels))
        if accuracy < expected - allowed:
            raise UserError(
                f"the {chosen.name} file has a test accuracy of {accuracy:.4f}, Keras {expected:.4f}; at most "
                f"{allowed:.4f} may be lost. What helps: {chosen.remedy}; or leave {chosen.name} out of --export"
            )

    def _accuracy(self, answers):
        truths = spelt(self.test_labels, self.class_names)
        return float(np.mean([answer == truth for answer, truth in zip(answers, truths, strict=True)]))

    def _keras_answers(self):
        rows = self.model.predict(self.test_audio, batch_size=64, verbose=0)
        return [decode(row, self.class_names) for row in rows]

    def _tflite_answers(self, path):
        model = TFLiteModel(path)
        return [decode(model(audio=row[None])["probabilities"][0], self.class_names) for row in self.test_audio]

    @staticmethod
    def _signatures(directory, formats):
        return {
            name: {"serving_default": described(TFLiteModel(directory / f"model.{name}.tflite"))}
            for name in formats
            if name != "saved_model"
        }
