"""Answers for texts from an export directory: tokenizer, LiteRT, labels; no TensorFlow."""

from pathlib import Path

import numpy as np

from tfpar.data.text import Tokenizer
from tfpar.errors import UserError
from tfpar.export.bundle import read_manifest
from tfpar.export.interpreter import TFLiteModel

TASK = "text_classification"
EMBEDDING = "embedding.npy"  # beside files for microcontrollers, which take its rows in place of tokens


class TextPredictor:
    """Classifies texts with an exported model.

    Args:
        directory: the export.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Raises:
        UserError: the directory is no export of a text classifier, or lacks the format.
    """

    def __init__(self, directory: Path | str, format_name: str | None = None):
        directory = Path(directory)
        manifest = read_manifest(directory, "exports")
        if manifest.get("task") != TASK:
            raise UserError(f"{directory} holds a model for {manifest.get('task')!r}, not for {TASK!r}")
        there = [entry["format"] for entry in manifest["exports"] if entry["format"] != "saved_model"]
        self.format = format_name or next(iter(there), None)
        if self.format not in there:
            raise UserError(f"{directory} has no {self.format or 'TFLite'} file; it has {', '.join(there) or 'none'}")
        self._model = TFLiteModel(directory / f"model.{self.format}.tflite")
        self._tokenizer = Tokenizer.load(directory / "tokenizer.json")
        self._labels = _read_labels(directory / "labels.txt")
        self._embedding = _read_embedding(directory / EMBEDDING) if "embedding" in manifest else None
        ((shape, _),) = self._model.inputs.values()
        self._length = shape[1]

    def __call__(self, text: str) -> dict:
        """Returns {"input", "label", "probabilities" (by label)}."""
        (tokens,) = self._tokenizer.encode([text], self._length)
        padded = pad_tokens(tokens, self._length)
        given = {"tokens": padded} if self._embedding is None else {"embedded": self._embedding[padded]}
        probabilities = self._model(**given)["probabilities"][0]
        return {
            "input": text,
            "label": self._labels[int(np.argmax(probabilities))],
            "probabilities": {name: float(p) for name, p in zip(self._labels, probabilities, strict=True)},
        }


def _read_labels(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"the class names {path} cannot be read: {error.strerror}") from error


def pad_tokens(tokens: np.ndarray, length: int) -> np.ndarray:
    """int32 (1, length): the tokens, then zeros."""
    return np.pad(tokens, (0, length - len(tokens)))[None].astype(np.int32)


def _read_embedding(path: Path) -> np.ndarray:
    """float32 (vocabulary, features)."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"the table of embeddings {path} cannot be read: {error}") from error
