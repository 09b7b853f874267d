"""Continuation of texts with an export: vocabulary, LiteRT, NumPy; no TensorFlow."""

import dataclasses

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.model_file import load_content
from tfpar.export.generic.inputs import InputKind
from tfpar.tasks.language_modeling.scores import mean_loss, score_loss
from tfpar.tasks.language_modeling.token_stream import TokenStream, sample_token
from tfpar.tasks.language_modeling.vocabulary import FILE, UNKNOWN_ID, Vocabulary

TASK = "language_modeling"
_BLOCK = 1024  # characters whose logits are held at a time


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How texts are continued.

    Attributes:
        length: characters of a continuation, 1 or more.
        temperature: divides the logits; 0: always the most probable character.
        top_k: draw from so many of the most probable characters; 0: from all.
        seed: of the draws.

    Raises:
        UserError: a value is out of range.
    """

    length: int = 200
    temperature: float = 0.8
    top_k: int = 0
    seed: int = 1

    def __post_init__(self):
        for name, least in (("length", 1), ("temperature", 0), ("top_k", 0), ("seed", 0)):
            value = getattr(self, name)
            if not least <= value < float("inf"):
                raise UserError(f"`{name}` must be {least} or more; got {value}")


class LanguagePredictor:
    """Continuation of texts with an exported language model.

    Args:
        bundle: the export of a language model.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Attributes:
        input_kind: `InputKind`.
        sampling: `Sampling`.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    input_kind = InputKind(("text",), ("text",), (".txt",), is_text=True)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, content = load_content(bundle, format_name)
        self._stream = TokenStream(content, f"model.{self.format}.tflite")
        self._vocabulary = Vocabulary.loads(bundle.read(FILE))
        if len(self._vocabulary) != self._stream.vocabulary_size:
            raise UserError(f"{bundle.directory / FILE} is not the vocabulary of the model; export it again")
        self.sampling = Sampling()

    def __call__(self, text: str) -> dict:
        """Continue a text.

        Returns:
            {"input", "continuation"}, and "unknown" with the characters that the model does not know, if there are any:
            it reads the unknown token in their place.

        Raises:
            UserError: the text is empty.
        """
        if not text:
            raise UserError("the text must have one character or more; got none")
        sampling = self.sampling
        generator = np.random.default_rng(sampling.seed)
        self._stream.reset()
        for token in self._vocabulary.encode(text):
            logits = self._stream.read(token)
        tokens: list[int] = []
        while len(tokens) < sampling.length:
            tokens.append(sample_token(logits, generator, sampling.temperature, sampling.top_k))
            if len(tokens) < sampling.length:
                logits = self._stream.read(tokens[-1])
        unknown = self._vocabulary.find_unknown(text)
        return {
            "input": text,
            "continuation": self._vocabulary.decode(tokens),
            **({"unknown": unknown} if unknown else {}),
        }

    def score(self, text: str) -> tuple[dict[str, float], int]:
        """Measure the model on a text, which it reads as one stream.

        Returns:
            {"loss" (nats per character), "perplexity", "bits_per_character"}, and the number of unknown characters.

        Raises:
            UserError: the text has less than two characters.
        """
        tokens = self._vocabulary.encode(text)
        if len(tokens) < 2:
            raise UserError(f"the text must have two characters or more; got {len(tokens)}")
        self._stream.reset()
        total = 0.0
        for first in range(0, len(tokens) - 1, _BLOCK):
            targets = tokens[first + 1 : first + 1 + _BLOCK]
            logits = np.stack([self._stream.read(token) for token in tokens[first : first + len(targets)]])
            total += mean_loss(logits, targets) * len(targets)
        return score_loss(total / (len(tokens) - 1)), int(np.sum(tokens == UNKNOWN_ID))
