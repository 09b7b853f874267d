"""Text to token ids, outside the model and without TensorFlow: a prediction needs no more than this file.

Strings stay out of models: a distribution strategy cannot reduce them and XLA cannot hold them. A tokenizer is trained
on the training texts, saved beside the model as one JSON file, and gives the same ids wherever it is loaded.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from tfpar.errors import MissingExtraError, UserError
from tfpar.files import written_atomically

PAD, UNKNOWN = "[PAD]", "[UNK]"
PAD_ID, UNKNOWN_ID = 0, 1
KINDS = ("word", "bpe")

# A word is a run of letters and digits. Contractions come apart as in the Penn treebank (do|n't, it|'s), so that a
# negation is one token whatever verb it hangs on; dots stay together ("..."), other marks stand alone.
_WORDS = r"\w+(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|\w+|\.{2,}|[^\w\s]"
_WORD_START = "\u2581"
_ALPHABET_LIMIT = 1000
# Longer than any token of a real text on average: what a text without spaces is cut to before the regular expression.
_CHARACTERS_PER_TOKEN = 64
_BATCH = 4096


class Tokenizer:
    """Unicode NFKC, lower case, words or byte-pair subwords, ids. [PAD] is 0 and [UNK] is 1.

    >>> tokenizer = Tokenizer.train(["It isn't bad.", "It is bad."], min_frequency=1)
    >>> [tokenizer.vocabulary[i] for i in tokenizer.encode(["IT ISN'T GOOD"], max_length=8)[0]]
    ['it', 'is', "n't", '[UNK]']
    """

    def __init__(self, backend):
        """Wraps a `tokenizers.Tokenizer`; use `train` or `load`.

        Raises:
            ValueError: [PAD] and [UNK] are not 0 and 1.
        """
        if (backend.token_to_id(PAD), backend.token_to_id(UNKNOWN)) != (PAD_ID, UNKNOWN_ID):
            raise ValueError(f"expected a tokenizer with {PAD}={PAD_ID} and {UNKNOWN}={UNKNOWN_ID}")
        # Else the words "[PAD]" in a text would become padding.
        backend.encode_special_tokens = True
        self._backend = backend

    @classmethod
    def train(
        cls, texts: Iterable[str], *, kind: str = "word", vocabulary_size: int = 20_000, min_frequency: int = 2
    ) -> "Tokenizer":
        """Learns a vocabulary. The same texts give the same vocabulary, in any process.

        Args:
            texts: the training texts.
            kind: "word", or "bpe" for byte-pair subwords (the first one of a word carries "▁").
            vocabulary_size: at most so many entries, the two special ones included.
            min_frequency: a word, or a pair of subwords, must occur so often.

        Raises:
            ValueError: an argument is out of range.
            UserError: the texts hold no word that occurs `min_frequency` times.
            MissingExtraError: `tokenizers` is not installed.
        """
        if kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(map(repr, KINDS))}; got kind={kind!r}")
        if vocabulary_size < 3:
            raise ValueError(f"`vocabulary_size` must be 3 or more, two being special; got {vocabulary_size}")
        if min_frequency < 1:
            raise ValueError(f"`min_frequency` must be 1 or more; got {min_frequency}")
        cleaned = [_clean(text) for text in _checked(texts)]
        backend = _untrained(kind)
        backend.train_from_iterator(cleaned, _trainer(kind, backend, cleaned, vocabulary_size, min_frequency))
        tokenizer = cls(backend)
        if tokenizer.vocabulary_size < 3:
            raise UserError(
                f"the training texts hold no word that occurs {min_frequency} times; nothing can be learned"
            )
        return tokenizer

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """Reads what `save` wrote.

        Raises:
            UserError: there is no such file, or it is not a tokenizer of tfpar's.
            MissingExtraError: `tokenizers` is not installed.
        """
        _import_tokenizers()
        try:
            return cls.loads(Path(path).read_bytes(), str(path))
        except OSError as error:
            raise UserError(f"the tokenizer {path} cannot be read: {error.strerror}") from error

    @classmethod
    def loads(cls, content: str | bytes, name: str = "the content") -> "Tokenizer":
        """Reads the content of a file that `save` wrote; `name` is what errors call it, which are those of `load`."""
        tokenizers = _import_tokenizers()
        try:
            return cls(tokenizers.Tokenizer.from_str(content if isinstance(content, str) else content.decode("utf-8")))
        except Exception as error:  # the backend raises plain Exception for bad JSON
            raise UserError(f"{name} is not a tokenizer that tfpar saved: {error}") from error

    def save(self, path: Path | str) -> None:
        """Writes the tokenizer as JSON; a reader sees the old file or the new one, never a part."""
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

    def encode(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """Encodes texts; the time depends on `max_length`, not on how long a text goes on behind it.

        Args:
            texts: any strings; one without a single word becomes one [UNK], so that no sequence is empty.
            max_length: ids beyond it are cut off.

        Returns:
            For each text int32 (length,), 1 <= length <= `max_length`.

        Raises:
            ValueError: `max_length` is below 1.
            TypeError: `texts` is one string, or holds something else than strings.
        """
        if max_length < 1:
            raise ValueError(f"`max_length` must be 1 or more; got {max_length}")
        texts = list(_checked(texts))
        ids: list[np.ndarray] = []
        for start in range(0, len(texts), _BATCH):
            batch = [_head(_clean(text), max_length) for text in texts[start : start + _BATCH]]
            for encoding in self._backend.encode_batch_fast(batch, add_special_tokens=False):
                ids.append(np.array(encoding.ids[:max_length] or [UNKNOWN_ID], np.int32))
        return ids


def _checked(texts: Iterable[str]) -> Iterator[str]:
    if isinstance(texts, str):
        raise TypeError("`texts` must be a sequence of strings; got one string: put it into a list")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"`texts` must hold strings; got {type(text).__name__}")
        yield text


def _clean(text: str) -> str:
    """Replaces lone surrogates, which command lines pass on for undecodable bytes and which have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _head(text: str, tokens: int) -> str:
    """A start of `text` that holds the first `tokens` tokens: each word between spaces gives at least one."""
    head = " ".join(text.split(None, tokens)[:tokens])
    return head[: tokens * _CHARACTERS_PER_TOKEN]


def _import_tokenizers():
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtraError("tokenizers", "recipes", "to turn texts into token ids") from error
    return tokenizers


def _untrained(kind: str):
    tokenizers = _import_tokenizers()
    from tokenizers import models, normalizers, pre_tokenizers

    model = models.WordLevel if kind == "word" else models.BPE
    backend = tokenizers.Tokenizer(model(unk_token=UNKNOWN))
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace("\u2019", "'")]  # NFKC keeps the curly one
    )
    words = pre_tokenizers.Split(tokenizers.Regex(_WORDS), behavior="removed", invert=True)
    starts = pre_tokenizers.Metaspace(replacement=_WORD_START, prepend_scheme="always", split=False)
    backend.pre_tokenizer = words if kind == "word" else pre_tokenizers.Sequence([words, starts])
    return backend


def _trainer(kind: str, backend, texts: list[str], vocabulary_size: int, min_frequency: int):
    from tokenizers import trainers

    options = dict(
        vocab_size=vocabulary_size,
        min_frequency=min_frequency,
        special_tokens=[PAD, UNKNOWN],  # in this order: it makes them 0 and 1
        show_progress=False,
    )
    if kind == "word":
        return trainers.WordLevelTrainer(**options)
    # The backend's own choice of rare letters, and its prefixes for continuations, depend on the order of a hash table
    # that differs between processes; an alphabet given in full, and a mark that is a letter like any other, do not.
    counts = Counter(chain.from_iterable(backend.normalizer.normalize_str(text) for text in texts))
    letters = sorted(
        (letter for letter in counts if not letter.isspace()), key=lambda letter: (-counts[letter], letter)
    )
    alphabet = [_WORD_START, *letters][: min(_ALPHABET_LIMIT, vocabulary_size - 2)]
    return trainers.BpeTrainer(**options, initial_alphabet=alphabet, limit_alphabet=len(alphabet))
