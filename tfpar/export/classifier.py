"""Leaves a text classifier: every format measured on the test set, all in one directory or nothing."""

import dataclasses
import functools
import sys
from pathlib import Path

import keras
import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle import write_bundle
from tfpar.export.c_array import write_c_array
from tfpar.export.card import write_card
from tfpar.export.described import described
from tfpar.export.formats import FORMATS
from tfpar.export.interpreter import TFLiteModel
from tfpar.export.micro_text import MicroText
from tfpar.export.pictures import draw_confusion_matrix, draw_learning_curve
from tfpar.export.text_predictor import EMBEDDING, TASK, pad_tokens
from tfpar.export.to_saved_model import saved_model_in_bundle
from tfpar.export.to_tflite import tflite

MICRO_EXAMPLES = 3000  # TFLite Micro is slow here: it answers for so many test texts, evenly spread
MICRO_REMEDY = "an LSTM, whose cells have 16 bits, or fewer tokens, whose errors add up"


@dataclasses.dataclass(frozen=True)
class TextClassifierExport:
    """What leaves with a text classifier, and what it is measured on.

    Attributes:
        model: int32 (batch, time) "tokens" -> float (batch, classes) "probabilities".
        tokenizer: a `tfpar.data.Tokenizer`.
        class_names: by class.
        sequence_length: tokens of a TFLite file's input; longer texts are cut, shorter ones padded.
        calibration: a dataset of training batches.
        test_tokens: the test set's sequences, each int32 (length,).
        test_labels: int32 (examples,).
        history: of training.
        form, target: of the TFLite files; see `tflite`. For "micro" they take what `embedding.npy` has for the tokens,
            and are measured in TFLite Micro.
        facts: what the card and the manifest shall say: "name", "data", "split", "notice", "command", "metrics", ...
    """

    model: keras.Model
    tokenizer: object
    class_names: tuple[str, ...]
    sequence_length: int
    calibration: object
    test_tokens: list[np.ndarray]
    test_labels: np.ndarray
    history: dict[str, list[float]]
    facts: dict
    form: str = "auto"
    target: str = "phone"

    def write(self, directory: Path | str, formats: tuple[str, ...], gate: bool = True) -> list[dict]:
        """Writes the export directory.

        Args:
            directory: where; a former export there is replaced.
            formats: "saved_model" and names of `FORMATS`.
            gate: refuse a file that loses accuracy. False is for a model that has not learnt anything yet: its
                answers stand at the decision boundary.

        Returns:
            One report for each format; see `tflite`. "metrics" is measured on "examples" test texts.

        Raises:
            UserError: the directory cannot be written, or a file strays further than its format may. Nothing is left
                then.
        """
        answers = self._keras_answers()
        manifest = {"task": TASK, "sequence_length": self.sequence_length, **self.facts}
        with write_bundle(directory, manifest) as temporary:
            self._write_surroundings(temporary, answers)
            manifest["exports"] = [self._write_format(temporary, name, answers, gate) for name in formats]
            manifest["signatures"] = self._signatures()
            if self.target == "micro":
                np.save(temporary / EMBEDDING, self._micro.table)
                manifest |= {"embedding": EMBEDDING, "signatures": self._micro_signatures(temporary, formats)}
            write_card(temporary / "card.md", manifest, self.class_names)
        return [{**report, "path": str(Path(directory) / report["path"])} for report in manifest["exports"]]

    def _write_surroundings(self, directory, answers):
        (directory / "labels.txt").write_text("\n".join(self.class_names) + "\n", encoding="utf-8")
        self.tokenizer.save(directory / "tokenizer.json")
        draw_learning_curve(self.history, directory / "learning_curve.png")
        draw_confusion_matrix(self.test_labels, answers, self.class_names, directory / "confusion_matrix.png")

    def _write_format(self, directory, name, answers, gate):
        print(f"exporting {name} ...", file=sys.stderr)
        if name == "saved_model":
            return saved_model_in_bundle(self.model, directory)
        path = directory / f"model.{name}.tflite"
        rows = self._measured_rows()
        report, found = (self._write_micro if self.target == "micro" else self._write_tokens)(path, name, rows)
        accuracy = float(np.mean(found == self.test_labels[rows]))
        expected = float(np.mean(answers[rows] == self.test_labels[rows]))
        if gate:
            self._gate(FORMATS[name], accuracy, expected)
        return {**report, "path": path.name, "metrics": {"accuracy": accuracy}, "examples": len(rows)}

    def _measured_rows(self):
        count = len(self.test_labels)
        measured = min(count, MICRO_EXAMPLES) if self.target == "micro" else count
        return np.linspace(0, count - 1, measured).astype(int)

    @functools.cached_property
    def _micro(self):
        return MicroText(self.model, self.calibration, self.sequence_length)

    def _write_micro(self, path, name, rows):
        """The report, and the classes that the file finds."""
        report = self._micro.write(path, name, self.form)
        report["c_array"] = write_c_array(path, report["arena_bytes"], report["ops"])
        tokens = np.concatenate([self._padded(self.test_tokens[row]) for row in rows])
        return report, np.argmax(self._micro.probabilities(path, tokens), axis=-1)

    def _write_tokens(self, path, name, rows):
        """As `_write_micro`, for a file that takes tokens."""
        report = tflite(
            self.model,
            path,
            quantize=name,
            calibration=self.calibration,
            sequence_length=self.sequence_length,
            form=self.form,
            target=self.target,
        )
        model = TFLiteModel(path)
        answers = (model(tokens=self._padded(self.test_tokens[row]))["probabilities"] for row in rows)
        return report, np.array([int(np.argmax(row)) for row in answers])

    def _gate(self, chosen, accuracy, expected):
        # Two examples either way are rounding at the decision boundary, not a loss.
        allowed = max(chosen.max_accuracy_loss, 2 / len(self.test_labels))
        if accuracy < expected - allowed:
            remedy = MICRO_REMEDY if self.target == "micro" else chosen.remedy
            raise UserError(
                f"the {chosen.name} file has a test accuracy of {accuracy:.4f}, Keras {expected:.4f}; at most "
                f"{allowed:.4f} may be lost. What helps: {remedy}; or leave {chosen.name} out of --export"
            )

    def _padded(self, tokens):
        return pad_tokens(tokens[: self.sequence_length], self.sequence_length)

    def _keras_answers(self):
        inputs = np.concatenate([self._padded(tokens) for tokens in self.test_tokens])
        return np.argmax(self.model.predict(inputs, batch_size=256, verbose=0), axis=-1)

    def _signatures(self):
        tokens = {"name": "tokens", "dtype": "int32"}
        probabilities = {"name": "probabilities", "dtype": "float32"}
        classes = len(self.class_names)
        return {
            "saved_model": {
                "serving_default": {
                    "inputs": [{**tokens, "shape": [-1, -1]}],
                    "outputs": [{**probabilities, "shape": [-1, classes]}],
                }
            },
            "tflite": {
                "serving_default": {
                    "inputs": [{**tokens, "shape": [1, self.sequence_length]}],
                    "outputs": [{**probabilities, "shape": [1, classes]}],
                }
            },
        }

    def _micro_signatures(self, directory, formats):
        files = {name: directory / f"model.{name}.tflite" for name in formats if name in FORMATS}
        signatures = {name: {"serving_default": described(TFLiteModel(path))} for name, path in files.items()}
        return {"saved_model": self._signatures()["saved_model"], **signatures}
