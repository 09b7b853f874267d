"""WAV files in a folder: one sub-folder for each class, or files with transcripts of digits."""

import hashlib
import re
from pathlib import Path

import numpy as np

from tfpar.data.readers.folder_groups import ONE_BY_ONE, FileGroups
from tfpar.data.readers.folder_splits import (
    check_splits,
    describe_split_folders,
    find_splits,
    visible_entries,
    visible_folders,
)
from tfpar.data.readers.splits import check_groups
from tfpar.data.wav import decode_wav
from tfpar.errors import UserError
from tfpar.files import read_file
from tfpar.tasks.speech_recognition.data import CollectedSpeech
from tfpar.tasks.speech_recognition.voices import DIGITS, LONGEST_STRING

TRANSCRIPTS = "transcripts.tsv"
_SPEAKER = r"(.+?)_nohash_"  # of Speech Commands
_SPEAKERS = "the speaker in SPEAKER_nohash_N.wav"


def read_class_folders(path: Path, rate_hz: int, group: str = "") -> tuple[CollectedSpeech, tuple[str, ...]]:
    """Read PATH/CLASS/*.wav, or PATH/SPLIT/CLASS/*.wav where splits are train, validation and test.

    Clips of one speaker share a split where `group` or `groups.tsv` says so, or, without either, where names are
    SPEAKER_nohash_N.wav, as in Speech Commands.

    Args:
        path: the folder.
        rate_hz: of the result.
        group: see `FileGroups`.

    Returns:
        The clips, and the classes by alphabet. What cannot be read, or is silent, is counted.

    Raises:
        UserError: there is no such folder, no sub-folder with WAV files, splits beside classes, or a file without a
            group.
    """
    _check_folder(path)
    splits = find_splits(path)
    names = sorted({entry.name for folder in splits.values() for entry in visible_folders(folder) if _wavs(entry)})
    if not names:
        raise UserError(f"{path}: expected one sub-folder for each class, with .wav files in it; there is none")
    files = [
        (file, label, split)
        for split, folder in splits.items()
        for label, name in enumerate(names)
        for file in (_wavs(folder / name) if (folder / name).is_dir() else [])
    ]
    collected = _collected(path, files, splits, rate_hz, group)
    if loose := sum(len(_wavs(folder)) for folder in {path, *splits.values()}):
        collected.skipped["outside of a class's folder"] = loose
    return collected, tuple(names)


def read_digit_strings(path: Path, rate_hz: int, group: str = "") -> CollectedSpeech:
    """Read PATH/**/*.wav with strings of digits; folders train, validation and test in PATH are splits.

    A transcript is the row of the file in `transcripts.tsv` (file name, tab, transcript), in PATH or in the folder of
    the split, or the content of a .txt file beside it, or the digits that its name begins with: "351_anna.wav". It is
    digits or their English names.

    Args:
        path: the folder.
        rate_hz: of the result.
        group: see `FileGroups`.

    Raises:
        UserError: there is no such folder, no WAV file in it, splits beside other folders, or a file without a group.
    """
    _check_folder(path)
    splits = find_splits(path, has_classes=False)
    if splits != {"train": path} and _wavs(path):
        raise UserError(f"{path} has .wav files beside the splits {', '.join(splits)}; move them into one of these")
    files, without = [], 0
    for split, folder in splits.items():
        table = _table(path / TRANSCRIPTS) | _table(folder / TRANSCRIPTS)
        for file in sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".wav" and file.is_file()):
            digits = digits_of(_transcript(file, table))
            if digits is None:
                without += 1
            else:
                label = np.pad(digits, (0, LONGEST_STRING - len(digits)), constant_values=-1)
                files.append((file, label, split))
    if not files and not without:
        raise UserError(f"{path}: expected .wav files with their transcripts; there is none")
    collected = _collected(path, files, splits, rate_hz, group)
    if without:
        collected.skipped[f"without a transcript of 1 to {LONGEST_STRING} digits"] = without
    return collected


def digits_of(transcript: str) -> list[int] | None:
    """Return the digits of a transcript, or None unless it has 1 to `LONGEST_STRING` digits.

    >>> digits_of("three 5 One"), digits_of("351"), digits_of("three pigs")
    ([3, 5, 1], [3, 5, 1], None)
    """
    digits = []
    for word in re.findall(r"[^\W\d_]+|\d", transcript.lower()):
        if word not in DIGITS and not word.isdecimal():
            return None
        digits.append(int(word) if word.isdecimal() else DIGITS.index(word))
    return digits if 1 <= len(digits) <= LONGEST_STRING else None


def read_transcripts(path: Path, files: list[Path]) -> list[tuple[Path, str]]:
    """Return the files below a folder, each with its transcript as `read_digit_strings` finds it."""
    table = _table(path / TRANSCRIPTS)
    return [(file, _transcript(file, table)) for file in files]


def _check_folder(path):
    if not path.is_dir():
        raise UserError(f"folder:{path}: there is no such folder")


def _wavs(folder):
    return [file for file in visible_entries(folder) if file.suffix.lower() == ".wav" and file.is_file()]


def _collected(path, files, splits, rate_hz, pattern):
    """Read the clips of (file, label, split); speakers in file names are the groups unless others are given."""
    groups = FileGroups(path, pattern)
    speakers = {file: re.search(_SPEAKER, file.stem) for file, _, _ in files}
    collected = CollectedSpeech(
        f"folder:{path}",
        rate_hz,
        given_rule=describe_split_folders(path, splits),
        grouped_by=groups.source or (_SPEAKERS if any(speakers.values()) else ""),
        advice=ONE_BY_ONE,
    )
    for file, label, split in files:
        speaker = speakers[file]
        group = groups.of(file) or (speaker[1] if speaker else "")
        _add(collected, file, label, split, group)
    check_splits(path, splits, collected.splits)
    if groups.source:
        check_groups(collected.where, collected.keys, collected.splits)
    return collected


def _add(collected, file, label, split, group):
    try:
        content = read_file(file)
        signal = decode_wav(content, collected.rate_hz)
    except (OSError, UserError) as error:
        reason = str(error).removeprefix("the content ").split(":")[0]
        collected.skipped[f"not to be read ({reason})"] += 1
        return
    collected.add(signal, label, group or hashlib.md5(content).hexdigest(), split)


def _table(path):
    if not path.exists():
        return {}
    try:
        lines = read_file(path).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def _transcript(file, table):
    beside = file.with_suffix(".txt")
    if file.name in table:
        return table[file.name]
    if beside.exists():
        try:
            return read_file(beside).decode("utf-8", "replace")
        except OSError as error:
            raise UserError(f"{beside} cannot be read: {error.strerror}") from error
    return re.split(r"\D", file.stem, maxsplit=1)[0]
