"""Splits of sentence pairs by source, since one source often has many translations.

A split by row would put one translation of a sentence into training and another into the test.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

# name -> (at most so many sentences, one in so many)
_LIMITS = {"test": (2000, 10), "validation": (1000, 20)}
# The bundled set's prefix serves every set, so that its file gives the same splits when read as one's own.
_PREFIX = "tatoeba:"
SPLIT_RULE = (
    "by source side, so that no two splits share one: distinct sources (lower case, words only) sorted by md5; at most "
    "2,000 (a tenth) are test, at most 1,000 (a twentieth) validation, with their first translation each; all rows of "
    "the others are train"
)


def source_key(text: str) -> str:
    """Return the key by which sources count as equal: their words in lower case.

    >>> source_key("Go on!") == source_key("go on")
    True
    """
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())
    return " ".join(words) or text


def split_by_source(sources: Sequence[str], held_out: Sequence[str] = ("test", "validation")) -> dict[str, list[int]]:
    """Split rows into `held_out` and "train".

    The rule depends on the texts alone: the same rows are dealt out in the same way on every machine.

    Args:
        sources: (rows,), the source sides.
        held_out: of "test" and "validation" those that are wanted.

    Returns:
        Split -> rows. In the held-out ones a row for each source, in the order of the md5; in "train" file order. Their
        further translations are in none.

    Raises:
        ValueError: there are not more distinct sources than splits.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, source in enumerate(sources):
        rows_of[source_key(source)].append(row)
    if len(rows_of) <= len(held_out):
        raise ValueError(f"expected more than {len(held_out)} distinct sources; got {len(rows_of)}")
    keys = sorted(rows_of, key=lambda key: hashlib.md5(f"{_PREFIX}{key}".encode()).hexdigest())
    dealt, begin = {}, 0
    for split in held_out:
        most, one_in = _LIMITS[split]
        end = begin + min(most, max(1, len(keys) // one_in))
        dealt[split] = [rows_of[key][0] for key in keys[begin:end]]
        begin = end
    dealt["train"] = sorted(row for key in keys[begin:] for row in rows_of[key])
    return dealt
