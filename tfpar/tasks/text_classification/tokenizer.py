"""Text to token ids, outside the model and without TensorFlow.

Strings stay out of models: a distribution strategy cannot reduce them and XLA cannot hold them. A tokenizer is trained
on the training texts, saved beside the model as one JSON file, and gives the same ids wherever it is loaded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from tfpar.data.trained_tokenizer import (
    PAD,
    UNKNOWN,
    UNKNOWN_ID,
    TrainedTokenizer,
    check_texts,
    cut_prefix,
    import_tokenizers,
    replace_surrogates,
)
from tfpar.errors import UserError

KINDS = ("word", "bpe")

# A word is a run of letters and digits. Contractions come apart as in the Penn treebank (do|n't, it|'s), so that a
# negation is one token whatever verb it hangs on; dots stay together ("..."), other marks stand alone.
_WORDS = r"\w+(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|\w+|\.{2,}|[^\w\s]"
_WORD_START = "\u2581"
_ALPHABET_LIMIT = 1000
_BATCH = 4096


class Tokenizer(TrainedTokenizer):
    """Unicode NFKC, lower case, words or byte-pair subwords, ids. [PAD] is 0 and [UNK] is 1.

    >>> tokenizer = Tokenizer.train(["It isn't bad.", "It is bad."], min_frequency=1)
    >>> [tokenizer.vocabulary[i] for i in tokenizer.encode(["IT ISN'T GOOD"], max_length=8)[0]]
    ['it', 'is', "n't", '[UNK]']
    """

    SPECIAL = (PAD, UNKNOWN)

    @classmethod
    def train(
        cls, texts: Iterable[str], *, kind: str = "word", vocabulary_size: int = 20_000, min_frequency: int = 2
    ) -> "Tokenizer":
        """Learn a vocabulary. The same texts give the same vocabulary, in any process.

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
        cleaned = [replace_surrogates(text) for text in check_texts(texts)]
        backend = _untrained(kind)
        backend.train_from_iterator(cleaned, _trainer(kind, backend, cleaned, vocabulary_size, min_frequency))
        tokenizer = cls(backend)
        if tokenizer.vocabulary_size < 3:
            raise UserError(
                f"the training texts hold no word that occurs {min_frequency} times; nothing can be learned"
            )
        return tokenizer

    def encode(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """Encode texts; the time depends on `max_length`, not on the rest of a longer text.

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
        texts = list(check_texts(texts))
        ids: list[np.ndarray] = []
        for start in range(0, len(texts), _BATCH):
            batch = [cut_prefix(replace_surrogates(text), max_length) for text in texts[start : start + _BATCH]]
            for encoding in self._backend.encode_batch_fast(batch, add_special_tokens=False):
                ids.append(np.array(encoding.ids[:max_length] or [UNKNOWN_ID], np.int32))
        return ids


def _untrained(kind: str):
    tokenizers = import_tokenizers()
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

    options: dict[str, Any] = dict(
        vocab_size=vocabulary_size,
        min_frequency=min_frequency,
        special_tokens=list(Tokenizer.SPECIAL),  # in this order: it makes them 0 and 1
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
