"""Data sets of labeled texts: three splits, and the checks for every source."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tfpar.data.readers.class_checks import check_training_classes, format_class_counts
from tfpar.data.readers.splits import SPLITS, check_cut, check_groups, cut_missing, describe_cut, find_rows, join_rules
from tfpar.errors import UserError

# One for each split: with fewer, some split could not show the class at all.
_FEWEST_PER_CLASS = len(SPLITS)


@dataclass(frozen=True, eq=False)
class LabeledTexts:
    """One split.

    Attributes:
        texts: the examples.
        labels: int32 (examples,); indices into the class names.
    """

    texts: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, eq=False)
class TextClassificationData:
    """A data set for text classification, ready to be tokenized.

    Attributes:
        name: the spec that it was loaded by.
        train, validation, test: the splits; every class has an example in `train`.
        unlabeled: distinct texts without a label, none of them in a split.
        class_names: by label.
        split_rule: one sentence: how the splits came about.
        notice: license, attribution or citation to show to the user.
        skipped: reason -> number of rows left out for it.
    """

    name: str
    train: LabeledTexts
    validation: LabeledTexts
    test: LabeledTexts
    unlabeled: tuple[str, ...]
    class_names: tuple[str, ...]
    split_rule: str
    notice: str
    skipped: dict[str, int]


@dataclass
class Collected:
    """Examples from a reader, in file order.

    Attributes:
        where: the file or set, as error messages name it.
        class_names: by label.
        texts, labels, splits: one entry per example; a split is one of SPLITS.
        groups: one entry per example, of which equal ones share a split; empty: each text is a group of its own.
        unlabeled: texts without a label.
        skipped: reason -> rows.
        given_rule: how the splits that the source brought came about; "" if it brought none.
        hint: what else to say when the classes look wrong.
    """

    where: str
    class_names: tuple[str, ...] = ()
    texts: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    unlabeled: list[str] = field(default_factory=list)
    skipped: Counter = field(default_factory=Counter)
    given_rule: str = ""
    hint: str = ""


def assemble(name: str, collected: Collected, notice: str) -> TextClassificationData:
    """Check the classes, cut the missing splits out of `train` and pack the result.

    Raises:
        UserError: fewer than two classes, a class with too few examples, or one that training never shows.
    """
    _check_counts(collected)
    splits, missing = cut_missing(collected.groups or collected.texts, collected.labels, collected.splits)
    if collected.groups:
        check_groups(collected.where, collected.groups, collected.splits)
        check_cut(collected.where, collected.groups, splits, missing)
    remedy = "change the split column or leave it out"
    check_training_classes(collected.where, collected.class_names, collected.labels, splits, remedy)
    # A held-out text must not come back as an unlabeled one.
    unlabeled = dict.fromkeys(collected.unlabeled)
    for text in collected.texts:
        unlabeled.pop(text, None)
    skipped = collected.skipped + Counter({"duplicate text": len(collected.unlabeled) - len(unlabeled)})
    cut = describe_cut(missing, "texts", "the group column" if collected.groups else "")
    return TextClassificationData(
        name=name,
        **{split: _pick(collected, splits, split) for split in SPLITS},
        unlabeled=tuple(unlabeled),
        class_names=collected.class_names,
        split_rule=join_rules(collected.given_rule, cut),
        notice=notice,
        skipped=dict(skipped),
    )


def _pick(collected: Collected, splits: list[str], wanted: str) -> LabeledTexts:
    chosen = find_rows(splits, wanted)
    texts = tuple(collected.texts[index] for index in chosen)
    return LabeledTexts(texts, np.array([collected.labels[index] for index in chosen], np.int32))


def _check_counts(collected: Collected) -> None:
    distinct = Counter(label for _, label in set(zip(collected.texts, collected.labels, strict=True)))
    if len(distinct) < 2:
        only = collected.class_names[next(iter(distinct))] if distinct else "none"
        raise UserError(
            f"{collected.where}: expected at least two classes, got one: {only!r}; check the label column"
            f"{_and(collected.hint)}"
        )
    rare = {name: distinct[label] for label, name in enumerate(collected.class_names)}
    rare = {name: count for name, count in rare.items() if count < _FEWEST_PER_CLASS}
    if rare:
        raise UserError(
            f"{collected.where}: every class needs at least {_FEWEST_PER_CLASS} distinct examples; got "
            f"{format_class_counts(rare)}; add examples or remove the class{_and(collected.hint)}"
        )


def _and(hint: str) -> str:
    return f"; {hint}" if hint else ""
