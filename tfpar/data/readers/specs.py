"""Dataset specs: the values of --dataset."""

from collections.abc import Mapping
from pathlib import Path

from tfpar.checks import did_you_mean
from tfpar.errors import UserError

FILE_KINDS = ("csv", "tsv")
FOLDER = ("folder",)


def parse_spec(
    spec: str, bundled: Mapping[str, str], holds: str, kinds: tuple[str, ...] = FILE_KINDS
) -> tuple[str, str]:
    """Parse a dataset spec.

    Args:
        spec: a bundled name, "tfds:NAME[/CONFIG]", or one of `kinds` and a path, such as "csv:PATH".
        bundled: bundled name -> name of its TFDS set.
        holds: what the sets are made of, for messages.
        kinds: what may be read beside TFDS.

    Returns:
        "tfds" and the set's name, or one of `kinds` and the path.

    Raises:
        UserError: it is none of these.

    >>> parse_spec("tsv:a.tsv", {}, holds="texts")
    ('tsv', 'a.tsv')
    """
    expected = f"expected {', '.join(bundled)}, tfds:NAME[/CONFIG]{_format_kinds(kinds)}"
    kind, colon, rest = spec.partition(":")
    if spec in bundled:
        return "tfds", bundled[spec]
    if kind in ("tfds", *kinds) and rest:
        return kind, rest
    if kind == "folder":
        raise UserError(f"dataset {spec!r}: folder: holds one file per example and is not for {holds}; {expected}")
    if colon and not rest:
        raise UserError(f"dataset {spec!r} has nothing after the colon; {expected}")
    closest = did_you_mean(kind, kinds + ("tfds",)) if colon else did_you_mean(spec, bundled)
    raise UserError(f"unknown dataset {spec!r}; {expected}{closest}")


def _format_kinds(kinds: tuple[str, ...]) -> str:
    """ ", csv:PATH or tsv:PATH"."""
    *others, last = (f"{kind}:PATH" for kind in kinds)
    return "".join(f", {kind}" for kind in others) + f" or {last}"


def check_options(spec: str, kind: str, kinds: tuple[str, ...], **options: str) -> None:
    """Raise UserError if an option that is for `kinds` alone is given, and the spec is of another kind."""
    given = [name for name, value in options.items() if value not in ("", "utf-8")]
    if given and kind not in kinds:
        allowed = " and ".join(f"{name}:" for name in kinds)
        raise UserError(f"--{given[0]} is for {allowed} alone; got dataset {spec!r}. Leave it out")


def make_file_notice(path: Path) -> str:
    """Return the notice for data without a stated license."""
    return f"Your own file {path}: its license is yours to know."
