"""Identifiers, docstrings, comments and pages use the field's terms, in American spelling.

To ban a word, add it to `BANNED` or `BANNED_NAMES` with its replacement. Uses that are right are listed in `ALLOWED`,
with the reason.
"""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Word -> replacement, in prose and in identifiers: `kept_count` has the words kept and count.
BANNED = {
    "answer": "predict, prediction or output",
    "answered": "predicted",
    "answers": "predictions or outputs",
    "door": "entry point, loader or command line",
    "doors": "entry points",
    "forgets": "resets its state",
    "forgetting": "state reset",
    "house": "architecture",
    "kept": "stored, residuals or unchanged",
    "mend": "patch",
    "mended": "patched",
    "mends": "patches",
    "moods": "load of the machine",
    "rooms": "packages",
    "said": "printed or reported",
    "spelt": "transcribed or normalized",
    "stranger": "third-party model",
    "strangers": "third-party models",
    "stray": "exceed the tolerance",
    "strays": "exceeds the tolerance",
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
    "optimise": "optimize",
    "optimised": "optimized",
    "recognise": "recognize",
    "recognised": "recognized",
    "recogniser": "recognizer",
    "serialise": "serialize",
    "synchronise": "synchronize",
    "synthesised": "synthesized",
    "tokenised": "tokenized",
}

# Words that are plain English in prose, but say too little in identifiers.
BANNED_NAMES = {
    "asked": "requested",
    "floor": "minimum or level",
    "leave": "export, omit or return",
    "parsed": "parse",
    "part": "shard, microbatch or component",
    "parts": "shards, microbatches or components",
    "place": "index, offset, axis, row, rank or position",
    "placed": "a verb",
    "places": "indices, offsets, axes or rows",
    "room": "package",
    "says": "contains, prints or reports",
    "share": "shard, fraction or weight",
    "shares": "shards, fractions or weights",
    "turn": "iteration",
    "turns": "iterations",
    "verdict": "diagnosis",
}

# (file or package, word) -> why it is the right word there.
ALLOWED: dict[tuple[str, str], str] = {
    ("tfpar/errors.py", "answers"): "a process answers a request; the launcher looks for this text",
    ("tfpar/cluster/launcher/diagnosis.py", "answers"): "it looks for this text",
    ("tfpar/export/generic/image_export.py", "normalisation"): "a key of manifest.json",
    ("tfpar/data/images/augment_geometry.py", "floor"): "a function of TensorFlow",
    ("tfpar/tasks/speech_recognition/augment.py", "floor"): "a function of TensorFlow",
    ("tfpar/export/bundle/manifest.py", "parts"): "an attribute of pathlib.Path",
    ("tfpar/export/generic/inputs.py", "parts"): "an attribute of pathlib.Path",
    ("tfpar/layers/recurrent/cells.py", "share"): "a verb: share_weights",
    ("tfpar/export/conversion/counterparts.py", "share"): "a verb: share_weights",
}


def list_files() -> list[Path]:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    code = [path for name in ("tfpar", "recipes") for path in (ROOT / name).rglob("*.py")]
    return [path for path in [*code, *pages] if path.name != "api.md"]  # api.md repeats docstrings


def package_of(name: str) -> str:
    """The directory below the root or, in tfpar, below that; files of tfpar itself by their names."""
    names = name.split("/")
    return "/".join(names[:2]) if names[0] == "tfpar" else names[0]


def split_words(text: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)]


def find_banned(text: str, is_code: bool) -> list[tuple[int, str]]:
    """Line number and word of each banned word."""
    lines = enumerate(text.splitlines(), start=1)
    found = [(number, word) for number, line in lines for word in split_words(line) if word in BANNED]
    if is_code:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        names = [(token.start[0], token.string) for token in tokens if token.type == tokenize.NAME]
        found += [(number, word) for number, name in names for word in split_words(name) if word in BANNED_NAMES]
    return sorted(found)


def find_all() -> list[tuple[str, int, str]]:
    """File, line number and word of each banned word that is not allowed."""
    return [
        (name, number, word)
        for path in list_files()
        for name in [path.relative_to(ROOT).as_posix()]
        for number, word in find_banned(path.read_text(encoding="utf-8"), path.suffix == ".py")
        if (name, word) not in ALLOWED and (package_of(name), word) not in ALLOWED
    ]


@pytest.mark.parametrize("text", ["kept_count", "def keptCount(): 0", "class Kept: 0", "KEPT = 1", "# the kept one"])
def test_words_are_found_in_prose_and_identifiers(text):
    assert find_banned(f"x = 1\n{text}\n", is_code=True) == [(2, "kept")]


def test_some_words_are_banned_in_identifiers_alone():
    assert find_banned("place_of = 1  # in place of, in turn\n", is_code=True) == [(1, "place")]
    assert find_banned("one part of it", is_code=False) == []


def test_only_whole_words_count():
    assert find_banned("placeholder = partial(shared, returned)\n", is_code=True) == []


def test_no_banned_words():
    replacements = BANNED | BANNED_NAMES
    found = [f"{name}:{number}: {word!r}; write {replacements[word]}" for name, number, word in find_all()]
    assert not found, "\n".join(found)
