"""Identifiers, docstrings, comments and pages use the field's terms, in American spelling.

To ban a word, add it to `BANNED` with its replacement. Packages that still use it are listed in `PENDING`, until they
do not; uses that are right are listed in `ALLOWED`, with the reason.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Word -> what to write instead. Words within identifiers count, too: `kept_count` has the words kept and count.
BANNED = {
    "answer": "predict, prediction or output",
    "answered": "predicted",
    "answers": "predictions or outputs",
    "asked": "requested",
    "door": "entry point, loader or command line",
    "doors": "entry points",
    "floor": "level",
    "forgets": "resets its state",
    "forgetting": "state reset",
    "house": "architecture",
    "kept": "stored, residuals or unchanged",
    "leave": "export, omit or return",
    "mend": "patch",
    "mended": "patched",
    "mends": "patches",
    "moods": "load of the machine",
    "parsed": "parse",
    "part": "shard, microbatch or component",
    "parts": "shards, microbatches or components",
    "place": "index, offset, axis, row, rank or position",
    "placed": "at an index",
    "places": "indices, offsets, axes or rows",
    "room": "package",
    "rooms": "packages",
    "said": "printed or reported",
    "says": "contains, prints or reports",
    "share": "shard, fraction or weight",
    "shares": "shards, fractions or weights",
    "spelt": "transcribed or normalized",
    "stranger": "third-party model",
    "strangers": "third-party models",
    "stray": "exceed the tolerance",
    "strays": "exceeds the tolerance",
    "turn": "iteration",
    "turns": "iterations",
    "verdict": "diagnosis",
    # British spellings.
    "behaviour": "behavior",
    "colour": "color",
    "generalise": "generalize",
    "initialise": "initialize",
    "initialised": "initialized",
    "labelled": "labeled",
    "learnt": "learned",
    "materialise": "materialize",
    "neighbour": "neighbor",
    "neighbours": "neighbors",
    "normalisation": "normalization",
    "normalise": "normalize",
    "normalised": "normalized",
    "optimisation": "optimization",
    "quantisation": "quantization",
    "quantise": "quantize",
    "quantised": "quantized",
    "recogniser": "recognizer",
    "serialise": "serialize",
    "synchronise": "synchronize",
    "tokenised": "tokenized",
}

# Packages that still use a word.
PENDING: dict[str, set[str]] = {}

# (package, word) -> why it is the right word there.
ALLOWED: dict[tuple[str, str], str] = {}


def list_files() -> list[Path]:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    code = [path for name in ("tfpar", "recipes") for path in (ROOT / name).rglob("*.py")]
    return [path for path in [*code, *pages] if path.name != "api.md"]  # api.md repeats docstrings


def package_of(path: Path) -> str:
    """The directory below the root or, in tfpar, below that; files of tfpar itself by their names."""
    names = path.relative_to(ROOT).parts
    return "/".join(names[:2]) if names[0] == "tfpar" else names[0]


def find_banned(text: str) -> list[tuple[int, str]]:
    """Line number and word of each banned word."""
    return [
        (number, word.lower())
        for number, line in enumerate(text.splitlines(), start=1)
        for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", line)
        if word.lower() in BANNED
    ]


@pytest.mark.parametrize("text", ["kept_count", "def keptCount", "class Kept:", "KEPT = 1", "the kept one"])
def test_words_are_found_in_prose_and_identifiers(text):
    assert find_banned(f"first line\n{text}") == [(2, "kept")]


def test_only_whole_words_count():
    assert find_banned("parameter placeholder partial return shared replaced department") == []


def test_no_banned_words():
    found = []
    for path in list_files():
        package = package_of(path)
        for number, word in find_banned(path.read_text(encoding="utf-8")):
            if package not in PENDING.get(word, ()) and (package, word) not in ALLOWED:
                found.append(f"{path.relative_to(ROOT)}:{number}: {word!r}; write {BANNED[word]}")
    assert not found, "\n".join(found)
