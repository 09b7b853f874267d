"""Pairs of sentences in CSV and TSV files."""

from pathlib import Path

from tfpar.data.readers.columns import Columns
from tfpar.data.readers.delimited import (
    MALFORMED,
    UNKNOWN_SPLIT,
    UNLABELED,
    WRONG_WIDTH,
    Dialect,
    check_train,
    read_delimited,
    read_split,
)
from tfpar.tasks.translation.data import CollectedPairs


def read_pairs(
    path: Path, dialect: Dialect, *, source_column: str, target_column: str, split_column: str, max_words: int
) -> CollectedPairs:
    """Read the whole file. Rows without two usable sides and repeats of a pair are skipped and counted.

    Args:
        path: the file.
        dialect: how its rows are written.
        source_column, target_column, split_column: see `Columns.find`; the last may be missing if it is "split".
        max_words: a pair with more words on a side is left out.

    Raises:
        UserError: no such file, another encoding, a column is missing, a quote is never closed, or nobody trains.
    """
    wanted = {"source_column": source_column, "target_column": target_column}
    collected = CollectedPairs(str(path), max_words)
    seen: set[tuple[str, ...]] = set()
    # Strict: a guess at a damaged letter would be learned, and then written by the translator.
    reading = read_delimited(path, dialect, wanted=wanted, split_column=split_column, strict=True)
    with reading as (columns, rows):
        for row in rows:
            _take(row, columns, collected, seen)
    if columns.split is not None:
        collected.given_rule = f"as column {columns.split_name!r} of the file says"
        if collected.sources:
            check_train(path, columns, collected.splits)
    return collected


def _take(row: list[str] | int, columns: Columns, collected: CollectedPairs, seen: set[tuple[str, ...]]) -> None:
    if isinstance(row, int):
        return collected.skip(MALFORMED, row)
    if len(row) != columns.width:
        return collected.skip(WRONG_WIDTH)
    source, target = (row[index] for index in columns.fields)
    split = read_split(row, columns)
    if split in ("", UNLABELED):
        return collected.skip(UNKNOWN_SPLIT)
    # A pair that is in two splits stays in both: the file's author decides what is tested.
    if (source, target, split) in seen:
        return collected.skip("duplicate pair")
    seen.add((source, target, split))
    return collected.add(source, target, split)
