"""Export of text classifiers."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.export.bundle.labels import write_labels
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.samples import sample_inputs
from tfpar.export.generic.measured_export import MeasuredExport
from tfpar.export.micro.partial_model import PartialModel
from tfpar.export.report.plots import draw_confusion_matrix, draw_learning_curve
from tfpar.tasks.text_classification.embedding_cut import cut_at_embeddings
from tfpar.tasks.text_classification.predict import EMBEDDING, TASK, pad_tokens
from tfpar.tasks.text_classification.tokenizer import Tokenizer

MICRO_EXAMPLES = 3000  # TFLite Micro is slow here: it predicts for so many test texts, evenly spread
MICRO_REMEDY = "an LSTM, whose cells have 16 bits, or fewer tokens, whose errors add up"

_USE = """    tfpar predict . "a text"

`tokenizer.json` turns text into token ids (0 is padding, at the right), `labels.txt` names the classes. The TFLite
files forget between runs: no variable has to be reset."""

_LIMITS = (
    "It knows the language and the kind of text that it was trained on, and gives a confident prediction for any "
    "other text, too."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextClassifierExport(MeasuredExport):
    """Export of a text classifier, measured on its test set.

    For the target "micro" its files take what `embedding.npy` has for the tokens, and are measured in TFLite Micro.

    Attributes:
        model: int32 (batch, time) "tokens" -> float (batch, classes) "probabilities".
        tokenizer: a `tfpar.tasks.text_classification.Tokenizer`.
        class_names: by class.
        sequence_length: tokens of a TFLite file's input; longer texts are cut, shorter ones padded.
        test_tokens: the test set's sequences, each int32 (length,).
    """

    tokenizer: Tokenizer
    class_names: tuple[str, ...]
    sequence_length: int
    test_tokens: list[np.ndarray]

    def make_manifest_fields(self) -> dict[str, Any]:
        return {"task": TASK, "sequence_length": self.sequence_length}

    def make_card_sections(self) -> dict[str, str]:
        classes = ", ".join(self.class_names)
        return {
            "input": f"Classes: {classes}. Input: at most {self.sequence_length} tokens; longer texts are cut.",
            "pictures": "![confusion matrix](confusion_matrix.png)",
            "use": _USE,
            "limits": _LIMITS,
        }

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        write_labels(directory, self.class_names)
        self.tokenizer.save(directory / "tokenizer.json")
        draw_learning_curve(self.history, directory / "learning_curve.png")
        draw_confusion_matrix(self.test_labels, predictions, self.class_names, directory / "confusion_matrix.png")

    def predict_with_keras(self) -> np.ndarray:
        inputs = np.concatenate([self._padded(tokens) for tokens in self.test_tokens])
        return np.argmax(self.model.predict(inputs, batch_size=256, verbose=0), axis=-1)

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        model = TFLiteModel(path)
        predictions = (model(tokens=self._padded(self.test_tokens[row]))["probabilities"] for row in rows)
        return np.array([int(np.argmax(row)) for row in predictions])

    def tflite_options(self) -> dict[str, Any]:
        return {"sequence_length": self.sequence_length}

    def signatures(self) -> dict[str, Any]:
        signatures = super().signatures()
        signatures["tflite"]["serving_default"]["inputs"][0]["shape"] = [1, self.sequence_length]
        return signatures

    def choose_test_rows(self) -> np.ndarray:
        count = len(self.test_labels)
        measured = min(count, MICRO_EXAMPLES) if self.target == "micro" else count
        return np.linspace(0, count - 1, measured).astype(int)

    def write_file(self, path: Path, name: str, rows: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        if self.target != "micro":
            return super().write_file(path, name, rows)
        table, model = self._cut
        report = model.write(path, name, self.form)
        tokens = np.concatenate([self._padded(self.test_tokens[row]) for row in rows])
        return report, np.argmax(model.predict(path, table[tokens]), axis=-1)

    def remedy(self, chosen: Any) -> str:
        return MICRO_REMEDY if self.target == "micro" else super().remedy(chosen)

    def make_late_manifest_fields(self, directory: Path, formats: tuple[str, ...]) -> dict[str, Any]:
        if self.target != "micro":
            return {}
        np.save(directory / EMBEDDING, self._cut[0])
        return {"embedding": EMBEDDING, **super().make_late_manifest_fields(directory, formats)}

    @functools.cached_property
    def _cut(self):
        """The host's table, and the chip's part."""
        table, rest = cut_at_embeddings(self.model)
        (tokens,) = sample_inputs(self.model, self.calibration, self.sequence_length).values()
        return table, PartialModel(rest, table[tokens])

    def _padded(self, tokens):
        return pad_tokens(tokens[: self.sequence_length], self.sequence_length)
