"""Answers for texts from an export: tokenizer, LiteRT, labels; no TensorFlow."""

import io
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.labels import label_probabilities, read_labels
from tfpar.export.bundle.model_file import load_model
from tfpar.export.generic.inputs import InputKind
from tfpar.tasks.text_classification.tokenizer import Tokenizer

TASK = "text_classification"
EMBEDDING = "embedding.npy"  # beside files for microcontrollers, which take its rows in place of tokens


class TextPredictor:
    """Classifies texts with an exported model.

    Args:
        bundle: the export of a text classifier.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Attributes:
        input_kind: `InputKind`.
        labels: names of the classes.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    input_kind = InputKind(("text",), ("text",), (".txt",), is_text=True)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        self._tokenizer = Tokenizer.loads(bundle.read("tokenizer.json"), "tokenizer.json")
        self.labels = read_labels(bundle, self._model.outputs["probabilities"][0][-1])
        self._embedding = None
        if "embedding" in bundle.manifest:
            self._embedding = read_embedding(bundle.read(EMBEDDING), bundle.directory / EMBEDDING)
            if len(self._embedding) < self._tokenizer.vocabulary_size:
                raise UserError(
                    f"{bundle.directory / EMBEDDING} has fewer rows than tokenizer.json has tokens; export again"
                )
        ((shape, _),) = self._model.inputs.values()
        self._length = shape[1]

    def __call__(self, text: str) -> dict:
        """Returns {"input", "label", "probabilities" (by label)}."""
        (tokens,) = self._tokenizer.encode([text], self._length)
        padded = pad_tokens(tokens, self._length)
        given = {"tokens": padded} if self._embedding is None else {"embedded": self._embedding[padded]}
        probabilities = self._model(**given)["probabilities"][0]
        return {"input": text, **label_probabilities(self.labels, probabilities)}


def pad_tokens(tokens: np.ndarray, length: int) -> np.ndarray:
    """int32 (1, length): the tokens, then zeros."""
    return np.pad(tokens, (0, length - len(tokens)))[None].astype(np.int32)


def read_embedding(content: bytes, name: Path) -> np.ndarray:
    """Read a table of embeddings.

    Args:
        content: of an npy file.
        name: what errors call it.

    Returns:
        float32 (vocabulary, features).

    Raises:
        UserError: the file is damaged, or holds something else.
    """
    try:
        table = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # of damaged files NumPy raises whatever its parts do
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"the table of embeddings {name} cannot be read: {why}") from error
    if table.dtype != np.float32 or table.ndim != 2:
        raise UserError(f"{name} must hold float32 (vocabulary, features); got {table.dtype} {table.shape}")
    return table
