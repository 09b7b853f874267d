"""How examples are dealt out to train, validation and test where the source does not say."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

SPLITS = ("train", "validation", "test")
CUT_RULE = (
    "{splits} cut from train: in each class the distinct {examples} are sorted by md5 and a tenth of them (at least "
    "one) goes to each, so that equal {examples} share a split"
)


def cut_missing(
    texts: Sequence[str], labels: Sequence[int], splits: Sequence[str], wanted: Sequence[str] = ("test", "validation")
) -> tuple[list[str], tuple[str, ...]]:
    """Fills splits that have no example with a tenth of `train` each.

    The rule depends on the texts alone, not on their order or on a random state: the same file is cut in the same way
    on every machine. It works class by class, so that no split misses a class that has an example for each.

    Args:
        texts, labels, splits: one entry per example; a split is one of SPLITS. A text may be a key of anything else.
        wanted: the splits that shall not be empty.

    Returns:
        The new split of each example, and the names of the splits that were cut.
    """
    missing = tuple(name for name in wanted if name not in splits)
    classes: dict[int, dict[str, None]] = defaultdict(dict)
    owner: dict[str, int] = {}
    for text, label, split in zip(texts, labels, splits, strict=True):
        # A text that occurs with two labels follows the first: both copies must land in one split.
        if split == "train" and owner.setdefault(text, label) == label:
            classes[label][text] = None
    moved: dict[str, str] = {}
    for members in classes.values():
        moved |= _cut(list(members), missing)
    dealt = [moved.get(text, split) if split == "train" else split for text, split in zip(texts, splits, strict=True)]
    return dealt, missing


def _cut(texts: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """Maps the texts that leave train to their new split."""
    if len(texts) <= len(names):
        return {}
    share = max(1, len(texts) // 10)
    texts = sorted(texts, key=lambda text: hashlib.md5(text.encode()).hexdigest())
    return {text: name for place, name in enumerate(names) for text in texts[place * share : (place + 1) * share]}
