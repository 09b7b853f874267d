"""Data sets of speech: clips in three splits, and the checks for every source."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfpar.data.readers.splits import SPLITS, check_cut, cut_missing, describe_cut, find_rows, join_rules
from tfpar.errors import UserError
from tfpar.tasks.speech_recognition.clips import Clips, pack, trim

# One for each split: with fewer, some split could not show the class at all.
_FEWEST_PER_CLASS = len(SPLITS)


@dataclass(frozen=True, eq=False)
class SpeechData:
    """A data set of speech.

    Attributes:
        name: the spec that it was loaded by.
        train, validation, test: the splits.
        class_names: by label; of strings, the symbols.
        rate_hz: of the clips.
        split_rule: one sentence: how the splits came about.
        notice: license, attribution or citation to show to the user.
        skipped: reason -> number of clips left out for it.
        clipped: how many clips stand at the limit of their range for long; they are used.
    """

    name: str
    train: Clips
    validation: Clips
    test: Clips
    class_names: tuple[str, ...]
    rate_hz: int
    split_rule: str
    notice: str
    skipped: dict[str, int] = field(default_factory=dict)
    clipped: int = 0

    @property
    def samples(self) -> int:
        """Of each row."""
        return self.train.audio.shape[1]


@dataclass
class CollectedSpeech:
    """Clips from a reader, in its order.

    Attributes:
        where: the folder or set, as error messages name it.
        rate_hz: of the clips.
        signals: float32 (samples,) each, trimmed.
        labels: of each clip: a class, or a string of symbols padded by -1.
        keys: of each clip: clips of one key share a split.
        splits: of each clip: one of `SPLITS`.
        skipped: reason -> clips.
        clipped: see `SpeechData`.
        given_rule: how the splits that the source brought came about; "" if it brought none.
        grouped_by: where groups come from; "" where equal clips alone share a split.
        advice: what to say where splits are cut and there are no groups.
    """

    where: str
    rate_hz: int
    signals: list = field(default_factory=list)
    labels: list = field(default_factory=list)
    keys: list = field(default_factory=list)
    splits: list = field(default_factory=list)
    skipped: Counter = field(default_factory=Counter)
    clipped: int = 0
    given_rule: str = ""
    grouped_by: str = ""
    advice: str = ""

    def add(self, signal: np.ndarray, label: Any, key: str, split: str = "train") -> None:
        """Add a clip, float (samples,) at `rate_hz`, unless it is silent."""
        self.clipped += is_clipped(signal)
        signal = trim(signal, self.rate_hz)
        if not len(signal):
            self.skipped["silent"] += 1
            return
        for values, value in ((self.signals, signal), (self.labels, label), (self.keys, key), (self.splits, split)):
            values.append(value)


def is_clipped(signal: np.ndarray) -> bool:
    """Return whether many pairs of neighboring samples are at the signal's maximum."""
    size = np.abs(signal)
    limit = size.max(initial=0)
    at_limit = size >= 0.999 * limit
    return bool(limit > 0.1 and np.sum(at_limit[1:] & at_limit[:-1]) > max(8, len(signal) / 200))


def assemble_speech(
    name: str, collected: CollectedSpeech, class_names: tuple[str, ...], samples: int, notice: str
) -> SpeechData:
    """Check the classes, cut the missing splits out of `train` and pack the result.

    Args:
        name: the spec.
        collected: what was read.
        class_names: by label; of strings, the symbols.
        samples: of each row.
        notice: to show to the user.

    Raises:
        UserError: there are too few clips.
    """
    strings = bool(collected.labels) and np.ndim(collected.labels[0]) > 0
    classes = [0 if strings else label for label in collected.labels]
    _check_counts(collected, classes, () if strings else class_names)
    splits, missing = cut_missing(collected.keys, classes, collected.splits)
    check_cut(collected.where, collected.keys, splits, SPLITS)
    cut = describe_cut(missing, "clips", collected.grouped_by, collected.advice)

    def split(wanted):
        rows = find_rows(splits, wanted)
        return pack([collected.signals[row] for row in rows], [collected.labels[row] for row in rows], samples)

    return SpeechData(
        name=name,
        **{wanted: split(wanted) for wanted in SPLITS},
        class_names=class_names,
        rate_hz=collected.rate_hz,
        split_rule=join_rules(collected.given_rule, cut),
        notice=notice,
        skipped=dict(collected.skipped),
        clipped=collected.clipped,
    )


def _check_counts(collected, classes, class_names):
    found = Counter(classes)
    skipped = ", ".join(f"{count} {reason}" for reason, count in collected.skipped.items())
    seen = f" (skipped: {skipped})" if skipped else ""
    if not found or (class_names and len(found) < 2):
        raise UserError(f"{collected.where}: expected clips of at least two classes, got {len(found)}{seen}")
    rare = [name for label, name in enumerate(class_names) if found[label] < _FEWEST_PER_CLASS]
    if rare or (not class_names and len(classes) < _FEWEST_PER_CLASS):
        few = f"class {rare[0]!r} has {found[class_names.index(rare[0])]}" if rare else f"there are {len(classes)}"
        raise UserError(f"{collected.where}: at least {_FEWEST_PER_CLASS} clips are needed of each class; {few}{seen}")
