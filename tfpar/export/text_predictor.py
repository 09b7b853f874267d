"""Answers for texts from an export: tokenizer, LiteRT, labels; no TensorFlow."""

import numpy as np

from tfpar.data.text import Tokenizer
from tfpar.export.bundle import Bundle
from tfpar.export.bundle_model import load_model

TASK = "text_classification"


class TextPredictor:
    """Classifies texts with an exported model.

    Args:
        bundle: the export of a text classifier.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        self._tokenizer = Tokenizer.loads(bundle.read("tokenizer.json"), "tokenizer.json")
        self._labels = bundle.read("labels.txt").decode("utf-8").splitlines()
        (self._length,) = self._model.inputs["tokens"][0][1:]

    def __call__(self, text: str) -> dict:
        """Returns {"input", "label", "probabilities" (by label)}."""
        (tokens,) = self._tokenizer.encode([text], self._length)
        probabilities = self._model(tokens=pad_tokens(tokens, self._length))["probabilities"][0]
        return {
            "input": text,
            "label": self._labels[int(np.argmax(probabilities))],
            "probabilities": {name: float(p) for name, p in zip(self._labels, probabilities, strict=True)},
        }


def pad_tokens(tokens: np.ndarray, length: int) -> np.ndarray:
    """int32 (1, length): the tokens, then zeros."""
    return np.pad(tokens, (0, length - len(tokens)))[None].astype(np.int32)
