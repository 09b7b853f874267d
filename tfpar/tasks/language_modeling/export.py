"""Export of language models."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.export.bundle.signature_specs import describe_signature
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.formats import FORMATS
from tfpar.export.generic.measured_export import MeasuredExport
from tfpar.export.report.plots import draw_learning_curve
from tfpar.tasks.language_modeling.predict import TASK
from tfpar.tasks.language_modeling.scores import mean_loss
from tfpar.tasks.language_modeling.token_stream import STEP, TokenStream
from tfpar.tasks.language_modeling.vocabulary import FILE, Vocabulary

TEST_CHARACTERS = 4096  # of the test split, on which each file is measured as a stream

_USE = """    tfpar predict . "To be"

The signature `step` takes one token and the states, and returns the logits of the next token and the new states; states
start as zeros. `vocabulary.json` has the characters: the first one has the id 2, 1 is the unknown token."""

_LIMITS = (
    "It continues texts in the style of the one that it was trained on. What it writes is not true, and may repeat "
    "parts of that text."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModelExport(MeasuredExport):
    """Export of a language model, whose files are measured as streams on the start of the test split.

    Attributes:
        model: int32 (batch, time) "tokens" -> float (batch, time, vocabulary) "logits".
        vocabulary: of the tokens.
        test_tokens: int32 (characters,).
        test_labels: the token that follows each of them, int32 (characters,).
    """

    vocabulary: Vocabulary
    test_tokens: np.ndarray

    def make_manifest_fields(self) -> dict[str, Any]:
        return {"task": TASK, "vocabulary_size": len(self.vocabulary)}

    def make_card_sections(self) -> dict[str, str]:
        return {
            "input": f"Input: ids of {len(self.vocabulary.characters)} characters. Output: logits of the next one.",
            "pictures": "![learning curve](learning_curve.png)",
            "use": _USE,
            "limits": _LIMITS,
        }

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        self.vocabulary.save(directory / FILE)
        draw_learning_curve(self.history, directory / "learning_curve.png")

    def predict_with_keras(self) -> np.ndarray:
        return self.model.predict(self.test_tokens[None], verbose=0)[0]

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        return TokenStream(path).read_all(self.test_tokens[rows])

    def is_correct(self, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.argmax(predictions, axis=-1) == self.test_labels[rows]

    def tflite_options(self) -> dict[str, Any]:
        return {"streaming": True}

    def write_file(self, path: Path, name: str, rows: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        report, logits = super().write_file(path, name, rows)
        return {**report, "loss": mean_loss(logits, self.test_labels[rows])}, logits

    def make_late_manifest_fields(self, directory: Path, formats: tuple[str, ...]) -> dict[str, Any]:
        signatures = self.read_file_signatures(directory, formats)
        for name in filter(FORMATS.__contains__, formats):
            signatures[name][STEP] = describe_signature(TFLiteModel(directory / f"model.{name}.tflite", STEP))
        return {"signatures": {"saved_model": self.signatures()["saved_model"], **signatures}}
