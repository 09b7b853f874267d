"""From the published TSV file to the three splits, in pure Python.

The file holds a pair a line: English, Spanish, attribution. English sentences come with up to 68 translations.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tfpar.data.readers.delimited import WRONG_WIDTH
from tfpar.tasks.translation.data import FURTHER, TOO_LONG
from tfpar.tasks.translation.splits import split_by_source

MAX_WORDS = 20


class Pair(NamedTuple):
    """One example; `attribution` names the license, the sentences' numbers and their authors."""

    english: str
    spanish: str
    attribution: str


def split_pairs(lines: Iterable[str]) -> tuple[dict[str, list[Pair]], dict[str, int]]:
    """Parse the lines and split the pairs by their English side.

    Args:
        lines: lines of the TSV file, without a header.

    Returns:
        "train", "validation", "test": the pairs; and reason -> number of lines left out for it.
    """
    pairs = []
    skipped: Counter[str] = Counter()
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if len(fields) != len(Pair._fields):
            skipped[WRONG_WIDTH] += 1
        elif max(len(side.split(" ")) for side in fields[:2]) > MAX_WORDS:
            skipped[TOO_LONG.format(max_words=MAX_WORDS)] += 1
        else:
            pairs.append(Pair(*fields))
    dealt = split_by_source([pair.english for pair in pairs])
    skipped[FURTHER] = len(pairs) - sum(map(len, dealt.values()))
    return {split: [pairs[row] for row in rows] for split, rows in dealt.items()}, dict(skipped)
