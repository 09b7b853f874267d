"""Texts as token ids, in batches."""

import dataclasses
from typing import Any

import numpy as np

from tfpar.tasks.base import SPLITS
from tfpar.tasks.text_classification.data import TextClassificationData
from tfpar.tasks.tokenized import TokenizedData


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TokenizedTexts(TokenizedData):
    """A data set for text classification as token ids.

    Attributes:
        data: a `TextClassificationData`.
        tokenizer: a `Tokenizer`.
        tokens: by split, an int32 sequence (length,) for each text.
        boundaries: lengths that sequences are padded to, ascending.
    """

    tokens: dict[str, list[np.ndarray]]

    @classmethod
    def encode(
        cls,
        data: TextClassificationData,
        tokenizer: Any,
        *,
        max_tokens: int,
        max_buckets: int,
        batch_size: int,
        **rest: Any,
    ) -> "TokenizedTexts":
        """Encode a data set; texts of more than `max_tokens` are cut; `rest` is "seed" and "replicas"."""
        from tfpar.data import bucket_boundaries

        tokens = {split: tokenizer.encode(getattr(data, split).texts, max_tokens) for split in SPLITS}
        lengths = [len(sequence) for sequence in tokens["train"]]
        longest = max(len(sequence) for split in SPLITS for sequence in tokens[split])
        boundaries = bucket_boundaries([*lengths, longest], max_buckets=max_buckets, batch_size=batch_size)
        return cls(data=data, tokenizer=tokenizer, tokens=tokens, boundaries=boundaries, batch_size=batch_size, **rest)

    def labels(self, split: str) -> np.ndarray:
        """Return the labels of a split: int32 (examples,)."""
        return getattr(self.data, split).labels

    def batches(self, split: str, first_epoch: int = 0) -> Any:
        """Make a `tf.data.Dataset` of (tokens, labels, weights); that of "train" is shuffled."""
        from tfpar.data import bucketed_batches

        return bucketed_batches(
            self.tokens[split],
            self.labels(split),
            batch_size=self.batch_size,
            boundaries=self.boundaries,
            shuffle=split == "train",
            seed=self.seed,
            replicas=self.replicas,
            first_epoch=first_epoch,
        )

    def padding_fraction(self) -> float:
        """Return the fraction of tokens in the training batches that is padding."""
        from tfpar.data import padding_fraction

        return padding_fraction([len(tokens) for tokens in self.tokens["train"]], self.boundaries, self.batch_size)
