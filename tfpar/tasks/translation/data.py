"""Data sets of translations: pairs of sentences in three splits, and the checks for every source."""

from collections import Counter
from dataclasses import dataclass, field

from tfpar.data.readers.delimited import clean_cell
from tfpar.data.readers.splits import SPLITS, find_rows
from tfpar.errors import UserError
from tfpar.tasks.translation.splits import SPLIT_RULE, split_by_source

FURTHER = "further translation of a held-out source"
TOO_LONG = "more than {max_words} words"


@dataclass(frozen=True, eq=False)
class Pairs:
    """One split.

    Attributes:
        sources, targets: (pairs,); the sentences to translate and their translations.
    """

    sources: list[str]
    targets: list[str]

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True, eq=False)
class TranslationPairs:
    """A data set for translation, ready to be tokenized.

    Attributes:
        name: the spec that it was loaded by.
        train, validation, test: the splits; none is empty.
        notice: license and attribution to show to the user.
        split_rule: one sentence: how the splits came about.
        skipped: reason -> number of rows left out for it.
    """

    name: str
    train: Pairs
    validation: Pairs
    test: Pairs
    notice: str
    split_rule: str
    skipped: dict[str, int]


@dataclass
class CollectedPairs:
    """Pairs from a reader, in file order.

    Attributes:
        where: the file or set, as error messages name it.
        max_words: a pair with more words on a side is left out.
        rows: how many came, good ones and bad ones.
        sources, targets, splits: one entry per pair; a split is one of SPLITS.
        skipped: reason -> rows.
        given_rule: how the splits that the source brought came about; "" if it brought none.
    """

    where: str
    max_words: int
    rows: int = 0
    sources: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    skipped: Counter = field(default_factory=Counter)
    given_rule: str = ""

    def add(self, source: str, target: str, split: str) -> None:
        """Add a pair without NUL characters and outer spaces, or count it as skipped."""
        self.rows += 1
        source, target = clean_cell(source), clean_cell(target)
        if not source:
            self.skipped["empty source"] += 1
        elif not target:
            self.skipped["empty target"] += 1
        elif len(source.split()) > self.max_words or len(target.split()) > self.max_words:
            self.skipped[TOO_LONG.format(max_words=self.max_words)] += 1
        else:
            self.sources.append(source)
            self.targets.append(target)
            self.splits.append(split)

    def skip(self, reason: str, rows: int = 1) -> None:
        """Count rows that are not pairs."""
        self.rows += rows
        self.skipped[reason] += rows


def assemble_pairs(name: str, collected: CollectedPairs, notice: str) -> TranslationPairs:
    """Cut the missing splits out of `train` and pack the result.

    Raises:
        UserError: there is no pair to train on, or too few to cut splits from.
    """
    rows = {split: find_rows(collected.splits, split) for split in SPLITS}
    _check_train(collected, rows["train"])
    missing = [split for split in ("test", "validation") if not rows[split]]
    if missing:
        rows |= _cut(collected, rows["train"], missing)
    return TranslationPairs(
        name=name,
        **{split: _pick(collected, rows[split]) for split in SPLITS},
        notice=notice,
        split_rule=_rule(collected.given_rule, missing),
        skipped={reason: count for reason, count in collected.skipped.items() if count},
    )


def _cut(collected: CollectedPairs, train: list[int], missing: list[str]) -> dict[str, list[int]]:
    try:
        dealt = split_by_source([collected.sources[row] for row in train], missing)
    except ValueError as error:
        raise UserError(
            f"{collected.where}: cannot cut {' and '.join(missing)} out of the training pairs: {error}; add pairs or a "
            "split column"
        ) from error
    collected.skipped[FURTHER] += len(train) - sum(map(len, dealt.values()))
    return {split: [train[index] for index in indices] for split, indices in dealt.items()}


def _pick(collected: CollectedPairs, rows: list[int]) -> Pairs:
    return Pairs([collected.sources[row] for row in rows], [collected.targets[row] for row in rows])


def _rule(given: str, missing: list[str]) -> str:
    if not missing:
        return given
    return f"{given}; {' and '.join(missing)} cut from train {SPLIT_RULE}" if given else SPLIT_RULE


def _check_train(collected: CollectedPairs, train: list[int]) -> None:
    if train:
        return
    if collected.sources:
        raise UserError(f"{collected.where} has no usable training pair; its pairs are all for validation or test")
    reasons = ", ".join(f"{reason}: {count}" for reason, count in collected.skipped.items()) or "it is empty"
    raise UserError(f"{collected.where} has no usable pair among {collected.rows} rows ({reasons})")
