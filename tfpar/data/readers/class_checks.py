"""Checks of classes and splits that readers of labeled data share."""

from collections.abc import Mapping, Sequence

from tfpar.errors import UserError

_NAMED_AT_MOST = 5


def check_training_classes(
    where: str, class_names: Sequence[str], labels: Sequence[int], splits: Sequence[str], remedy: str = ""
) -> None:
    """Raise UserError if a class has no training example.

    Args:
        where: the source, for messages.
        class_names: by label.
        labels, splits: one entry per example.
        remedy: end of the message; empty: none.
    """
    trained = {label for label, split in zip(labels, splits, strict=True) if split == "train"}
    absent = {name: 0 for label, name in enumerate(class_names) if label not in trained}
    if absent:
        raise UserError(
            f"{where}: the training split must show every class; got {format_class_counts(absent)} there"
            f"{remedy and '; ' + remedy}"
        )


def format_class_counts(counts: Mapping[str, int]) -> str:
    """Format the first few classes with their counts.

    >>> format_class_counts({"cat": 0, "dog": 2})
    "0 of 'cat', 2 of 'dog'"
    """
    named = ", ".join(f"{count} of {name!r}" for name, count in list(counts.items())[:_NAMED_AT_MOST])
    more = len(counts) - _NAMED_AT_MOST
    return f"{named} and {more} more such classes" if more > 0 else named
