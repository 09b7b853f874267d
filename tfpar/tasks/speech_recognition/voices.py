"""Voices of synthesized speech: accents, variants, and their splits."""

import hashlib
from collections.abc import Sequence

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
WORDS = {"digits": DIGITS, "commands": COMMANDS, "all": DIGITS + COMMANDS}

LONGEST_STRING = 6  # digits

ACCENTS = (
    "en-029",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-gb-x-rp",
    "en-us",
    "en-us-nyc",
)

SPLIT_RULE = (
    "voice variants by family (trailing digits dropped, lower case), families sorted by md5('voice:' + family): the "
    "first fifth test, the next tenth validation"
)


def find_family(variant: str) -> str:
    """Return the family of a voice variant: variants of one differ little.

    >>> find_family("Gene2"), find_family("f3")
    ('gene', 'f')
    """
    return variant.rstrip("0123456789").lower()


def split_variants(variants: Sequence[str]) -> dict[str, list[str]]:
    """Split variants into train, validation and test by family.

    Args:
        variants: their names.

    Returns:
        By split, variants in the order of their names.
    """
    families = sorted({find_family(name) for name in variants}, key=lambda name: _md5(f"voice:{name}"))
    fifth, tenth = len(families) // 5, len(families) // 10
    split_of = dict.fromkeys(families, "train")
    split_of |= dict.fromkeys(families[:fifth], "test")
    split_of |= dict.fromkeys(families[fifth : fifth + tenth], "validation")
    splits: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for name in sorted(variants):
        splits[split_of[find_family(name)]].append(name)
    return splits


def _md5(text):
    return hashlib.md5(text.encode()).hexdigest()
