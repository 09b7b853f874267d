"""Base of all tokenizers: special tokens, file, and handling of invalid texts.

A prediction needs no more of tfpar than this file and the tokenizer's own.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from tfpar.errors import MissingExtraError, UserError
from tfpar.files import read_file, written_atomically

PAD, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[BOS]", "[EOS]"
PAD_ID, UNKNOWN_ID, BEGIN_ID, END_ID = range(4)
# Longer than any token of a real text on average: what a text without spaces is cut to before it is taken apart.
_CHARACTERS_PER_TOKEN = 64
_PROBE = "It isn't \u00fcbel, 100 %!"


class TrainedTokenizer:
    """A `tokenizers.Tokenizer` with known special tokens.

    Attributes:
        SPECIAL: the special tokens, by id from 0.
    """

    SPECIAL: tuple[str, ...]

    def __init__(self, backend: Any):
        """Wrap a `tokenizers.Tokenizer`; use `train` or `load`.

        Raises:
            ValueError: the special tokens do not have their ids, or ids are left out.
        """
        if [backend.token_to_id(token) for token in self.SPECIAL] != list(range(len(self.SPECIAL))):
            ids = ", ".join(f"{token}={index}" for index, token in enumerate(self.SPECIAL))
            raise ValueError(f"expected a tokenizer with {ids}")
        vocabulary = backend.get_vocab()
        if set(vocabulary.values()) != set(range(len(vocabulary))):
            raise ValueError(f"expected a tokenizer with the ids 0 ... {len(vocabulary) - 1}, each of one token")
        # Else the words "[PAD]" in a text would become padding.
        backend.encode_special_tokens = True
        self._backend = backend

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: there is no such file, or it is not a tokenizer of tfpar's.
            MissingExtraError: `tokenizers` is not installed.
        """
        import_tokenizers()
        try:
            content = read_file(path)
        except OSError as error:
            raise UserError(f"the tokenizer {path} cannot be read: {error.strerror}") from error
        return cls.loads(content, str(path))

    @classmethod
    def loads(cls, content: str | bytes, name: str = "the content") -> Self:
        """Read the content of a file that `save` wrote; `name` is its name in errors, which are those of `load`."""
        tokenizers = import_tokenizers()
        try:
            backend = tokenizers.Tokenizer.from_str(content if isinstance(content, str) else content.decode("utf-8"))
            backend.encode_batch_fast([_PROBE])
            return cls(backend)
        except BaseException as error:
            # The backend raises plain Exception for bad JSON, and its own BaseException for a bad vocabulary or regex.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            why = " ".join(str(error).split())
            raise UserError(f"{name} is not a tokenizer that tfpar saved: {why}") from error

    def save(self, path: Path | str) -> None:
        """Write the tokenizer as JSON, atomically."""
        with written_atomically(Path(path)) as temporary:
            temporary.write_text(self._backend.to_str(), encoding="utf-8")

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, the special ones included."""
        return self._backend.get_vocab_size()

    @property
    def vocabulary(self) -> list[str]:
        """The tokens by id."""
        return [self._backend.id_to_token(index) for index in range(self.vocabulary_size)]


def check_texts(texts: Iterable[str]) -> Iterator[str]:
    """Return the texts; raise TypeError for one string instead of many, and for what is not a string."""
    if isinstance(texts, str):
        raise TypeError("`texts` must be a sequence of strings; got one string: put it into a list")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"`texts` must hold strings; got {type(text).__name__}")
        yield text


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates: command lines have them for undecodable bytes, and UTF-8 cannot encode them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def cut_prefix(text: str, tokens: int) -> str:
    """Return a prefix of `text` with at least the first `tokens` tokens: each word gives at least one."""
    start = " ".join(text.split(None, tokens)[:tokens])
    return start[: tokens * _CHARACTERS_PER_TOKEN]


def import_tokenizers() -> Any:
    """Import `tokenizers`; raise MissingExtraError if it is not installed."""
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtraError("tokenizers", "recipes", "to turn texts into token ids") from error
    return tokenizers
