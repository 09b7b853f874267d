"""Pairs of sentences as token ids, in batches."""

import dataclasses
from typing import Any

import numpy as np

from tfpar.tasks.base import SPLITS
from tfpar.tasks.tokenized import TokenizedData
from tfpar.tasks.translation.batches import translation_batches
from tfpar.tasks.translation.buckets import translation_boundaries
from tfpar.tasks.translation.data import TranslationPairs
from tfpar.tasks.translation.epoch_plan import translation_padding_fraction

TOKENS_PER_PAIR = 16  # a batch has as many tokens a side as `batch_size` pairs of this length


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TokenizedPairs(TokenizedData):
    """A data set for translation as token ids.

    Attributes:
        data: a `TranslationPairs`.
        tokenizer: a `SubwordTokenizer`.
        sources, targets: by split, an int32 sequence (length,) for each sentence.
        boundaries: shapes (source, target) that pairs are padded to.
    """

    sources: dict[str, list[np.ndarray]]
    targets: dict[str, list[np.ndarray]]

    @classmethod
    def encode(
        cls, data: TranslationPairs, tokenizer: Any, *, max_tokens: int, max_buckets: int, **settings: Any
    ) -> "TokenizedPairs":
        """Encode a data set; longer sentences are cut; `settings` are "batch_size", "seed" and "replicas"."""
        splits = {split: getattr(data, split) for split in SPLITS}
        sources = {name: tokenizer.encode(split.sources, max_tokens) for name, split in splits.items()}
        targets = {name: tokenizer.encode(split.targets, max_tokens - 1) for name, split in splits.items()}
        source_lengths, target_lengths = (
            [len(ids) for split in splits for ids in side[split]] for side in (sources, targets)
        )
        boundaries = translation_boundaries(source_lengths, target_lengths, max_buckets=max_buckets)
        return cls(data=data, tokenizer=tokenizer, sources=sources, targets=targets, boundaries=boundaries, **settings)

    @property
    def tokens_per_batch(self) -> int:
        return TOKENS_PER_PAIR * self.batch_size

    def batches(self, split: str, first_epoch: int = 0) -> Any:
        """Make a `tf.data.Dataset` as `translation_batches` does; that of "train" is shuffled."""
        return translation_batches(
            self.sources[split],
            self.targets[split],
            tokens_per_batch=self.tokens_per_batch,
            # Each shape is one more program; an evaluation may be padded more, since it runs once per epoch.
            boundaries=self.boundaries if split == "train" else self.boundaries[::-5][::-1],
            shuffle=split == "train",
            seed=self.seed,
            replicas=self.replicas,
            first_epoch=first_epoch,
        )

    def padding_fraction(self) -> float:
        """Return the fraction of tokens in the training batches that is padding."""
        sources, targets = ([len(ids) for ids in side["train"]] for side in (self.sources, self.targets))
        return translation_padding_fraction(sources, targets, self.boundaries, self.tokens_per_batch, self.replicas)
