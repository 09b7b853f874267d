"""Data sets of labeled series: three splits, and the checks for every source."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tfpar.data.readers.class_checks import check_training_classes, format_class_counts
from tfpar.data.readers.splits import SPLITS, check_cut, check_groups, cut_missing, describe_cut, join_rules
from tfpar.errors import UserError
from tfpar.tasks.time_series.cells import LARGEST, check_precision

CLASSES, MULTI_LABEL, NUMBER = LABEL_KINDS = ("classes", "multi_label", "number")
SEPARATOR = ";"  # between the classes of one series


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledSeries:
    """One split.

    Attributes:
        values: float32 (steps of all series, channels); NaN: missing.
        offsets: int64 (series + 1,), the first row of each series, and the end.
        targets: int32 (series,), indices into the class names; float32 (series, classes) of 0 and 1; or float32
            (series, 1).
    """

    values: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each series, int64 (series,)."""
        return np.diff(self.offsets)


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledSeriesData:
    """A data set of labeled series.

    Attributes:
        name: the spec that it was loaded by.
        train, validation, test: the splits; `validation` may be empty.
        channels: their names.
        class_names: by class; empty for numbers.
        label_kind: one of `LABEL_KINDS`.
        split_rule: one sentence: how the splits came about.
        notice: license, attribution or citation to show to the user.
    """

    name: str
    train: LabeledSeries
    validation: LabeledSeries
    test: LabeledSeries
    channels: tuple[str, ...]
    class_names: tuple[str, ...]
    label_kind: str
    split_rule: str
    notice: str

    @property
    def steps(self) -> int:
        """The number of steps of the longest series."""
        return int(max(split.lengths.max(initial=0) for split in (self.train, self.validation, self.test)))

    @property
    def has_indicators(self) -> bool:
        """Whether values are missing or series differ in length."""
        splits = [split for split in (self.train, self.validation, self.test) if len(split)]
        lengths = {int(length) for split in splits for length in np.unique(split.lengths)}
        return len(lengths) > 1 or any(np.isnan(split.values).any() for split in splits)


@dataclasses.dataclass
class CollectedSeries:
    """Labeled series from a reader.

    Attributes:
        where: the file or set, as error messages name it.
        channels: their names; empty: numbered.
        series: float32 (steps, channels) each.
        labels: one for each series, as text.
        splits: one of SPLITS for each series.
        groups: one for each series; equal ones share a split. Empty: no groups.
        given_rule: how the splits that the source brought came about; "" if it brought none.
    """

    where: str
    channels: tuple[str, ...] = ()
    series: list[np.ndarray] = dataclasses.field(default_factory=list)
    labels: list[str] = dataclasses.field(default_factory=list)
    splits: list[str] = dataclasses.field(default_factory=list)
    groups: list[str] = dataclasses.field(default_factory=list)
    given_rule: str = ""


def assemble(name: str, collected: CollectedSeries, notice: str, label_kind: str = CLASSES) -> LabeledSeriesData:
    """Check series and labels, cut a missing test split out of `train` and pack the result.

    Raises:
        UserError: series differ in channels or have no value, labels are not of the kind, fewer than two classes, or
            a class without a training example.
    """
    _check_series(collected)
    if "train" not in collected.splits:
        raise UserError(
            f"{collected.where} has no series for training; {', '.join(sorted(set(collected.splits)))} only"
        )
    class_names, targets = _encode_labels(collected, label_kind)
    classes = targets if label_kind == CLASSES else np.zeros(len(targets), np.int32)
    keys = collected.groups or [hashlib.md5(one.tobytes()).hexdigest() for one in collected.series]
    splits, missing = cut_missing(keys, classes.tolist(), collected.splits, ("test",))
    if collected.groups:
        check_groups(collected.where, collected.groups, collected.splits)
    check_cut(collected.where, keys, splits, missing)
    if label_kind == CLASSES:
        check_training_classes(collected.where, class_names, classes.tolist(), splits)
    channels = collected.channels or tuple(str(index) for index in range(collected.series[0].shape[1]))
    rule = describe_cut(missing, "series", "the group column" if collected.groups else "")
    return LabeledSeriesData(
        name=name,
        **{split: _pick(collected.series, targets, splits, split) for split in SPLITS},
        channels=channels,
        class_names=class_names,
        label_kind=label_kind,
        split_rule=join_rules(collected.given_rule, rule),
        notice=notice,
    )


def _pick(series, targets, splits, wanted) -> LabeledSeries:
    rows = [row for row, split in enumerate(splits) if split == wanted]
    chosen = [series[row] for row in rows]
    lengths = [len(one) for one in chosen]
    values = np.concatenate(chosen) if chosen else np.zeros((0, series[0].shape[1]), np.float32)
    return LabeledSeries(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), targets[rows])


def _check_series(collected: CollectedSeries) -> None:
    if not collected.series:
        raise UserError(f"{collected.where} has no series; expected one for each example")
    channels = collected.series[0].shape[1]
    for number, one in enumerate(collected.series, start=1):
        if one.shape[1] != channels:
            raise UserError(
                f"{collected.where}: series {number} has {one.shape[1]} channels and the first has {channels}; give "
                "each the same channels"
            )
        if not len(one) or np.isnan(one).all():
            raise UserError(f"{collected.where}: all values of series {number} are missing; remove it")
    least, most = (float(f([f(one) for one in collected.series])) for f in (np.nanmin, np.nanmax))
    if least == most:
        raise UserError(f"{collected.where}: all values are {least:g} in float32, so that the series do not differ")


def _encode_labels(collected: CollectedSeries, kind: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return class names and targets."""
    where, labels = collected.where, collected.labels
    if kind == NUMBER:
        numbers = np.array([[_number(where, row, label)] for row, label in enumerate(labels, start=1)])
        check_precision(f"{where}: the label", numbers.min(), numbers.max())
        return (), numbers.astype(np.float32)
    words = [label.split(SEPARATOR) if kind == MULTI_LABEL else [label] for label in labels]
    words = [[word.strip() for word in of if word.strip()] for of in words]
    names = sort_names({word for of in words for word in of})
    if not names:
        raise UserError(f"{where}: no series has a label; check the label column")
    if kind == CLASSES and len(names) < 2:
        raise UserError(f"{where}: expected at least two classes, got one: {names[0]!r}; check the label column")
    index = {name: position for position, name in enumerate(names)}
    if kind == CLASSES and "" in labels:
        raise UserError(f"{where}: the label of series {labels.index('') + 1} is empty; remove the series or label it")
    if kind == CLASSES:
        _check_counts(collected, names)
        return names, np.array([index[label] for label in labels], np.int32)
    targets = np.zeros((len(labels), len(names)), np.float32)
    for row, of in enumerate(words):
        targets[row, [index[word] for word in of]] = 1
    return names, targets


def _check_counts(collected: CollectedSeries, names: Sequence[str]) -> None:
    least = 1 if "test" in collected.splits else 2
    counts = Counter(collected.labels)
    rare = {name: counts[name] for name in names if counts[name] < least}
    if rare:
        raise UserError(
            f"{collected.where}: every class needs at least {least} series; got {format_class_counts(rare)}; add "
            "series or remove the class"
        )


def _number(where, row, label) -> float:
    try:
        value = float(label)
    except ValueError:
        value = np.nan
    if not abs(value) <= LARGEST:
        raise UserError(
            f"{where}: the label of series {row} must be a finite number for --label_kind number, which float32 holds; "
            f"got {label!r}"
        )
    return value


def sort_names(names: set[str]) -> tuple[str, ...]:
    """Sort class names by value if all are numbers, else by alphabet.

    >>> sort_names({"10", "9"})
    ('9', '10')
    """
    try:
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    except ValueError:
        return tuple(sorted(names))
