"""Splits into train, validation and test where the source has none."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from tfpar.errors import UserError

SPLITS = ("train", "validation", "test")
# As columns of files and folders name them, in lower case.
SPLIT_NAMES = {name: name for name in SPLITS} | {
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "testing": "test",
}
_RULE = (
    "{splits} cut from train: in each class the distinct {examples} are sorted by md5 and a tenth of them (at least "
    "one) goes to each, so that equal {examples} share a split"
)
_GROUP_RULE = (
    "{splits} cut from train by groups ({grouped_by}): in each class groups are sorted by md5 and a tenth of them (at "
    "least one) goes to each, so that a group is in one split"
)


def cut_missing(
    keys: Sequence[str], labels: Sequence[int], splits: Sequence[str], wanted: Sequence[str] = ("test", "validation")
) -> tuple[list[str], tuple[str, ...]]:
    """Fill each split without an example with a tenth of `train`.

    The rule depends on the keys alone, not on their order or on a random state: the same file is cut in the same way
    on every machine. It works class by class, so that no split misses a class that has a key for each; a key that
    occurs with several classes counts for all of them, and a class never loses its last key in `train`.

    Args:
        keys: (examples,), texts or names of groups; examples of one key share a split.
        labels, splits: one entry per example; a split is one of SPLITS.
        wanted: the splits that shall not be empty.

    Returns:
        The new split of each example, and the names of the splits that were cut.
    """
    missing = tuple(name for name in wanted if name not in splits)
    classes_of: dict[str, set[int]] = defaultdict(set)
    for key, label, split in zip(keys, labels, splits, strict=True):
        if split == "train":
            classes_of[key].add(label)
    moved = _cut(classes_of, missing) if missing else {}
    dealt = [moved.get(key, split) if split == "train" else split for key, split in zip(keys, splits, strict=True)]
    return dealt, missing


def _cut(classes_of: dict[str, set[int]], names: tuple[str, ...]) -> dict[str, str]:
    """Map the keys that move out of train to their new split."""
    members = defaultdict(list)
    for key in sorted(classes_of, key=lambda key: hashlib.md5(key.encode("utf-8", "surrogatepass")).hexdigest()):
        for label in classes_of[key]:
            members[label].append(key)
    left = Counter({label: len(keys) for label, keys in members.items()})
    moved: dict[str, str] = {}
    for label in sorted(members):
        if len(members[label]) <= len(names):
            continue
        tenth = max(1, len(members[label]) // 10)
        for name in names:
            missing = tenth - sum(moved.get(key) == name for key in members[label])
            for key in members[label]:
                if missing > 0 and key not in moved and all(left[other] > 1 for other in classes_of[key]):
                    moved[key] = name
                    left.subtract(classes_of[key])
                    missing -= 1
    return moved


def check_cut(where: str, keys: Sequence[str], splits: Sequence[str], missing: tuple[str, ...]) -> None:
    """Raise UserError if `cut_missing` found too few keys for the splits that it cut.

    Args:
        where: the source, for messages.
        keys, splits: one entry per example, after the cut.
        missing: the splits that were cut.
    """
    absent = [name for name in missing if name not in splits]
    if absent:
        raise UserError(
            f"{where}: there is nothing for {' and '.join(absent)}: examples of one group (speaker, person, author) "
            f"stay in one split, and there are {len(set(keys))} groups; add more, or bring these splits"
        )


def check_groups(where: str, groups: Sequence[str], splits: Sequence[str]) -> None:
    """Raise UserError if the splits that a source brings share a group; both have one entry per example."""
    split_of: dict[str, str] = {}
    for group, split in zip(groups, splits, strict=True):
        if split_of.setdefault(group, split) != split:
            raise UserError(
                f"{where}: group {group!r} is in {split_of[group]} and in {split}; move its files into one split, or "
                "leave the groups out"
            )


def describe_cut(missing: tuple[str, ...], examples: str, grouped_by: str = "", advice: str = "") -> str:
    """Describe in one sentence how missing splits were cut; empty if there were none.

    Args:
        missing: the splits that were cut.
        examples: what keys are, as a plural; for examples without groups.
        grouped_by: where groups come from; empty: there are none.
        advice: what else to say where there are none.
    """
    if not missing:
        return ""
    splits = " and ".join(missing)
    if grouped_by:
        return _GROUP_RULE.format(splits=splits, grouped_by=grouped_by)
    return join_rules(_RULE.format(splits=splits, examples=examples), advice)


def join_rules(*rules: str) -> str:
    """Join the sentences that are not empty."""
    return "; ".join(filter(None, rules))


def find_rows(splits: Sequence[str], wanted: str) -> list[int]:
    """Return the indices of the examples of one split."""
    return [row for row, split in enumerate(splits) if split == wanted]
