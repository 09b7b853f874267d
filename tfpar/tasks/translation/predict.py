"""Translation with an export: tokenizer, LiteRT, beam search in NumPy; no TensorFlow."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.model_file import load_content
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.generic.inputs import InputKind
from tfpar.tasks.translation.beam_search import beam_search
from tfpar.tasks.translation.subwords import SubwordTokenizer

TASK = "translation"
ENCODE, DECODE_STEP = "encode", "decode_step"
_COUNTS = ("begin_id", "end_id", "max_length", "beam_size")
_SEARCH = dict.fromkeys(_COUNTS, int) | dict.fromkeys(("length_penalty", "coverage_penalty"), int | float)


@dataclasses.dataclass(frozen=True)
class Translation:
    """One hypothesis.

    Attributes:
        text: the translation.
        rank: what it was ranked by; the higher, the better.
        source, target: the tokens of both sides.
        alignment: float32 (target tokens, source tokens).
    """

    text: str
    rank: float
    source: list[str]
    target: list[str]
    alignment: np.ndarray


class Translator:
    """Translator of sentences with a `.tflite` file.

    Args:
        content: of the file, with the signatures `encode` and `decode_step`.
        tokenizer: a `SubwordTokenizer`.
        search: arguments of `beam_search`; "max_length" also bounds the source.
    """

    def __init__(self, content: bytes, tokenizer: SubwordTokenizer, search: dict):
        self._encode, self._decode_step = (TFLiteModel(content, signature) for signature in (ENCODE, DECODE_STEP))
        self._tokenizer, self._search = tokenizer, search

    def translate(self, text: str) -> list[Translation]:
        """Return all hypotheses of the beam, the best first. An empty text is its own translation."""
        if not text.strip():
            return [Translation(text, 0.0, [], [], np.zeros((0, 0), np.float32))]
        (ids,) = self._tokenizer.encode([text], self._search["max_length"])
        source = np.asarray(ids, np.int32)[None]
        hypotheses = beam_search(self._encode, self._decode_step, source, **self._search)
        return [
            Translation(
                self._tokenizer.decode(found.tokens),
                found.rank,
                [self._piece(index) for index in ids],
                [self._piece(index) for index in found.tokens],
                found.alignment,
            )
            for found in hypotheses
        ]

    def _piece(self, index) -> str:
        return self._tokenizer.decode([index]) or self._tokenizer.vocabulary[index]


class TranslationPredictor:
    """Translator of inputs of `tfpar predict` with an export.

    Args:
        bundle: the export of a translator.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Attributes:
        input_kind: `InputKind`.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    input_kind = InputKind(("source",), ("source",), (".txt",), is_text=True)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, content = load_content(bundle, format_name)
        search = check_search(bundle.manifest.get("search"), bundle.directory)
        tokenizer = SubwordTokenizer.loads(bundle.read("tokenizer.json"), "tokenizer.json")
        self._translator = Translator(content, tokenizer, search)

    def __call__(self, text: str) -> dict:
        """Return {"input", "translation", "n_best": [{"translation", "rank"}]}."""
        found = self._translator.translate(text)
        return {
            "input": text,
            "translation": found[0].text,
            "n_best": [{"translation": one.text, "rank": one.rank} for one in found],
        }

    def best(self, text: str) -> Translation:
        """Return the best translation, with its alignment."""
        return self._translator.translate(text)[0]


def check_search(search: Any, directory: Path) -> dict:
    """Return the search settings of a manifest after checking them for `beam_search`.

    Args:
        search: of the manifest.
        directory: of the export, for errors.

    Raises:
        UserError: it is no such thing.
    """
    if not isinstance(search, dict):
        raise UserError(f"{directory} is not an export of a translator: its manifest has no 'search'")
    for name in ("begin_id", "end_id", "max_length", *search):
        value: Any = search.get(name)
        kind = _SEARCH.get(name)
        is_number = kind is not None and isinstance(value, kind) and not isinstance(value, bool)
        if not is_number or not (name in _COUNTS) <= value < 2**31:
            raise UserError(f"{directory}: {name!r} of 'search' in its manifest cannot be {value!r}; export again")
    return search
