"""A language model as a stream, step by step, with LiteRT and NumPy only."""

from pathlib import Path

import numpy as np

from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.tasks.language_modeling.vocabulary import FIRST_ID

STEP = "step"  # the signature: one token and the states in, logits and the new states out
_TOKENS, _LOGITS = "tokens", "logits"


class TokenStream:
    """Language model that reads one token at a time; its memory does not grow with the text.

    Args:
        file: path or content of a `.tflite` file with the signature `step`.
        name: of the file, for errors.

    Attributes:
        vocabulary_size: number of token ids.
    """

    def __init__(self, file: Path | bytes, name: str | None = None):
        self._model = TFLiteModel(file, STEP, name)
        self.vocabulary_size = self._model.outputs[_LOGITS][0][-1]
        self.reset()

    def reset(self) -> None:
        """Begin a new text."""
        inputs = self._model.inputs.items()
        self._states = {name: np.zeros(shape, dtype) for name, (shape, dtype) in inputs if name != _TOKENS}

    def read(self, token: int) -> np.ndarray:
        """Read a token; return the logits of the next one, float32 (vocabulary,)."""
        outputs = self._model(tokens=np.full((1, 1), token, np.int32), **self._states)
        self._states = {name: outputs[name] for name in self._states}
        return outputs[_LOGITS].reshape(-1)

    def read_all(self, tokens: np.ndarray) -> np.ndarray:
        """Read a new text; return the logits after each token, float32 (tokens, vocabulary)."""
        self.reset()
        return np.stack([self.read(token) for token in tokens])


def sample_token(logits: np.ndarray, generator: np.random.Generator, temperature: float = 1.0, top_k: int = 0) -> int:
    """Draw a token.

    Args:
        logits: float (vocabulary,); padding and the unknown token are never drawn.
        generator: of random numbers.
        temperature: divides the logits; 0: take the most probable token.
        top_k: draw from so many of the most probable tokens; 0: from all.
    """
    known = logits[FIRST_ID:].astype(np.float64)
    if temperature == 0:
        return FIRST_ID + int(np.argmax(known))
    if 0 < top_k < len(known):
        known[np.argsort(-known, kind="stable")[top_k:]] = -np.inf
    cumulative = np.cumsum(np.exp((known - known.max()) / temperature))
    return FIRST_ID + int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
