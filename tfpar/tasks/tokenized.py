"""A data set as token ids."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TokenizedData:
    """Base class for a data set as token ids, with the settings of its batches.

    Attributes:
        data: the data set, with `name`, `split_rule`, `notice` and the splits.
        tokenizer: between texts and token ids.
        boundaries: shapes that sequences are padded to.
        batch_size: global.
        seed: of the order of the training examples.
        replicas: number of them that share a batch.
    """

    data: Any
    tokenizer: Any
    boundaries: tuple
    batch_size: int
    seed: int
    replicas: int

    @property
    def name(self) -> str:
        return self.data.name

    @property
    def split_rule(self) -> str:
        return self.data.split_rule

    @property
    def notice(self) -> str:
        return self.data.notice
