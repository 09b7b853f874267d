"""Characters of a text as token ids, without TensorFlow."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from tfpar.errors import UserError

PADDING_ID, UNKNOWN_ID, FIRST_ID = range(3)
UNKNOWN = "\ufffd"  # how the unknown token is shown
FILE = "vocabulary.json"


class Vocabulary:
    """Token ids of characters: 0 is padding, 1 the unknown token.

    Args:
        characters: distinct ones.

    Attributes:
        characters: sorted by code point; the first has the id 2.

    Raises:
        ValueError: `characters` is empty, or one occurs twice.

    >>> vocabulary = Vocabulary("cab")
    >>> vocabulary.encode("abz").tolist(), vocabulary.decode([2, 4, 1])
    ([2, 3, 1], 'ac\\ufffd')
    """

    def __init__(self, characters: str):
        if not characters or len(set(characters)) < len(characters):
            raise ValueError(f"`characters` must be one or more distinct characters; got {characters!r}.")
        self.characters = "".join(sorted(characters))
        self._code_points = _code_points(self.characters)

    @classmethod
    def of_text(cls, text: str, *, max_size: int = 10_000, min_frequency: int = 2) -> "Vocabulary":
        """Make the vocabulary of a text.

        Args:
            text: of training.
            max_size: at most so many characters, the most frequent ones.
            min_frequency: a character occurs so often.

        Raises:
            UserError: no character does.
        """
        counts = Counter(text)
        ranked = sorted(counts, key=lambda character: (-counts[character], character))
        chosen = [character for character in ranked if counts[character] >= min_frequency][:max_size]
        if not chosen:
            raise UserError(f"no character of the training text occurs {min_frequency} times; give a longer text")
        return cls("".join(chosen))

    @classmethod
    def loads(cls, content: bytes, name: str = FILE) -> "Vocabulary":
        """Read the content of a file that `save` wrote; `name` is for errors.

        Raises:
            UserError: it is something else.
        """
        try:
            return cls(json.loads(content)["characters"])
        except (ValueError, TypeError, LookupError) as error:
            raise UserError(f"{name} is not a vocabulary of characters: {error}; export the model again") from error

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON."""
        path.write_text(json.dumps({"characters": self.characters}), encoding="utf-8")

    def __len__(self) -> int:
        return FIRST_ID + len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Return the token id of each character: int32 (characters,)."""
        wanted = _code_points(text)
        positions = np.minimum(np.searchsorted(self._code_points, wanted), len(self._code_points) - 1)
        return np.where(self._code_points[positions] == wanted, positions + FIRST_ID, UNKNOWN_ID).astype(np.int32)

    def decode(self, tokens: "np.ndarray | list[int]") -> str:
        """Return the text of token ids."""
        return "".join(self.characters[token - FIRST_ID] if token >= FIRST_ID else UNKNOWN for token in tokens)

    def find_unknown(self, text: str) -> str:
        """Return the distinct characters of a text that have no token of their own, sorted."""
        return "".join(sorted(set(text) - set(self.characters)))


def _code_points(text):
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), np.uint32)
