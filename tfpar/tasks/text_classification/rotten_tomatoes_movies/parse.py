"""From the published CSV file to the four splits, in pure Python.

The file holds one row per review snippet (category `fresh` or `rotten`) or plot summary (category `plot`). Snippets of
one movie agree with each other far more often than not: guessing each movie's majority is right three times in four. A
split by row would reward a model for recognizing the movie, so whole movies are dealt out.
"""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

CLASS_NAMES = ("rotten", "fresh")
UNLABELED = -1
_PLOT = "plot"


@dataclass(frozen=True)
class Snippet:
    """One example; `label` is an index into CLASS_NAMES, or UNLABELED for a plot."""

    text: str
    label: int
    movie: str


def split_snippets(lines: Iterable[str]) -> dict[str, list[Snippet]]:
    """Parse the CSV lines and split them by movie.

    Texts are stripped; of equal snippets one is used, with the last one's label and movie. Movies are sorted by
    md5("rt:" + name): the first fifth is test, the next tenth validation, the rest training.

    Args:
        lines: lines of the CSV file, with newlines, header first.

    Returns:
        "train", "validation", "test": the labeled snippets; "unsupervised": the plots of training movies only, since a
        plot tells what a held-out movie's snippets talk about.

    Raises:
        ValueError: a row has a category other than the three, or a column is missing.
    """
    snippets: dict[str, Snippet] = {}
    plots: dict[str, Snippet] = {}
    for row in csv.DictReader(lines):
        category, text, movie = _fields(row)
        if category == _PLOT:
            plots[text] = Snippet(text, UNLABELED, movie)
        else:
            snippets[text] = Snippet(text, CLASS_NAMES.index(category), movie)
    split_of = _split_movies({snippet.movie for snippet in snippets.values()})
    splits: dict[str, list[Snippet]] = {"train": [], "validation": [], "test": [], "unsupervised": []}
    for snippet in snippets.values():
        splits[split_of[snippet.movie]].append(snippet)
    splits["unsupervised"] = [plot for plot in plots.values() if split_of.get(plot.movie) == "train"]
    return splits


def _fields(row: dict[str, str]) -> tuple[str, str, str]:
    try:
        category, text, movie = row["category"], row["text"].strip(), row["movie_name"]
    except (KeyError, AttributeError) as error:
        raise ValueError(f"expected the columns category, text, movie_name; got {row}") from error
    if category != _PLOT and category not in CLASS_NAMES:
        raise ValueError(f"expected a category of plot, {', '.join(CLASS_NAMES)}; got {category!r}")
    return category, text, movie


def _split_movies(movies: set[str]) -> dict[str, str]:
    """Map each movie to its split; 507 movies become 356, 50 and 101."""
    ordered = sorted(movies, key=lambda movie: hashlib.md5(f"rt:{movie}".encode()).hexdigest())
    tests, validations = len(ordered) // 5, len(ordered) // 10
    names = ["test"] * tests + ["validation"] * validations
    names += ["train"] * (len(ordered) - len(names))
    return dict(zip(ordered, names, strict=True))
