"""Reversible subwords of two languages.

Nothing is lost but what `normalize` says, and nothing is unknown: letters that training never showed are spelled in
the bytes of UTF-8.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from tfpar.data.trained_tokenizer import (
    BEGIN,
    END,
    PAD,
    UNKNOWN,
    TrainedTokenizer,
    check_texts,
    cut_prefix,
    import_tokenizers,
    replace_surrogates,
)
from tfpar.errors import UserError

_BYTES = 256
_BATCH = 4096
_LONG_CHARACTERS = 1000


class SubwordTokenizer(TrainedTokenizer):
    """Byte-pair subwords, shared by the languages that it is trained on. [PAD] 0, [UNK] 1, [BOS] 2, [EOS] 3.

    >>> tokenizer = SubwordTokenizer.train(["¿Qué tal, Ana?", "How are you, Ana?"], min_frequency=1)
    >>> tokenizer.decode(tokenizer.encode(["¡Ana: 100 %  ñandúes!"], max_tokens=50)[0])
    '¡Ana: 100 % ñandúes!'
    """

    SPECIAL = (PAD, UNKNOWN, BEGIN, END)
    PAD_ID, UNKNOWN_ID, BEGIN_ID, END_ID = range(4)

    @classmethod
    def train(cls, texts: Iterable[str], *, vocabulary_size: int = 4000, min_frequency: int = 2) -> "SubwordTokenizer":
        """Learn a vocabulary. The same texts give the same vocabulary, in any order and in any process.

        Args:
            texts: the training texts of all languages.
            vocabulary_size: at most so many entries, the 4 special ones and 256 bytes included.
            min_frequency: a pair of subwords must occur so often.

        Raises:
            ValueError: an argument is out of range.
            UserError: the texts hold nothing that occurs `min_frequency` times.
            MissingExtraError: `tokenizers` is not installed.
        """
        least = len(cls.SPECIAL) + _BYTES
        if vocabulary_size < least:
            raise ValueError(
                f"`vocabulary_size` must be {least} or more, of which {_BYTES} are bytes; got {vocabulary_size}"
            )
        if min_frequency < 1:
            raise ValueError(f"`min_frequency` must be 1 or more; got {min_frequency}")
        backend = _untrained()
        backend.train_from_iterator(
            map(replace_surrogates, check_texts(texts)), _trainer(vocabulary_size, min_frequency)
        )
        tokenizer = cls(backend)
        if tokenizer.vocabulary_size == least < vocabulary_size:
            raise UserError(
                f"the training texts hold no two neighbors that occur {min_frequency} times; nothing can be learned"
            )
        return tokenizer

    def normalize(self, text: str) -> str:
        """Normalize a text as `decode` returns it: Unicode NFKC, one space between words and none around them.

        Case, accents and punctuation stay.
        """
        return self._backend.normalizer.normalize_str(replace_surrogates(text))

    def encode(self, texts: Sequence[str], max_tokens: int) -> list[np.ndarray]:
        """Encode texts, without [BOS] and [EOS].

        Args:
            texts: any strings; one without a character becomes one [UNK], so that no sequence is empty.
            max_tokens: ids beyond it are cut off.

        Returns:
            For each text int32 (length,), 1 <= length <= `max_tokens`.

        Raises:
            ValueError: `max_tokens` is below 1.
            TypeError: `texts` is one string, or holds something else than strings.
        """
        if max_tokens < 1:
            raise ValueError(f"`max_tokens` must be 1 or more; got {max_tokens}")
        texts = [_shorten(replace_surrogates(text), max_tokens) for text in check_texts(texts)]
        ids: list[np.ndarray] = []
        for start in range(0, len(texts), _BATCH):
            for encoding in self._backend.encode_batch_fast(texts[start : start + _BATCH], add_special_tokens=False):
                ids.append(np.array(encoding.ids[:max_tokens] or [self.UNKNOWN_ID], np.int32))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Decode ids up to the first [EOS]; other special tokens are dropped.

        Args:
            ids: int (length,). Bytes that make no character, which only a model writes, become U+FFFD.

        Raises:
            ValueError: an id is not in the vocabulary.
        """
        ids = np.asarray(ids, np.int64).reshape(-1)
        if ids.size and not (0 <= ids.min() and ids.max() < self.vocabulary_size):
            raise ValueError(f"`ids` must lie in 0 ... {self.vocabulary_size - 1}; got {ids.min()} ... {ids.max()}")
        ends = np.flatnonzero(ids == self.END_ID)
        ids = ids[: ends[0]] if ends.size else ids
        # Every word of a text begins with a space, its first one too.
        return self._backend.decode(ids.tolist(), skip_special_tokens=True).removeprefix(" ")


def _shorten(text: str, tokens: int) -> str:
    """Cut a long text, so that the time depends on its used prefix; return a short one unchanged."""
    return cut_prefix(text, tokens) if len(text) > _LONG_CHARACTERS else text


def _untrained():
    tokenizers = import_tokenizers()
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    backend = tokenizers.Tokenizer(models.BPE(unk_token=UNKNOWN))
    spaces = normalizers.Replace(tokenizers.Regex(r"\s+"), " ")
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces, normalizers.Strip()])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    return backend


def _trainer(vocabulary_size: int, min_frequency: int):
    from tokenizers import pre_tokenizers, trainers

    return trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=min_frequency,
        special_tokens=list(SubwordTokenizer.SPECIAL),  # in this order: it makes them 0, 1, 2, 3
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
