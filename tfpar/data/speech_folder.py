"""Reads WAV files from a folder: one sub-folder for each class, or files with transcripts of digits."""

import hashlib
import re
from pathlib import Path

import numpy as np

from tfpar.data.speech_data import CollectedSpeech
from tfpar.data.voices import DIGITS, LONGEST_STRING
from tfpar.data.wav import decode_wav
from tfpar.errors import UserError

TRANSCRIPTS = "transcripts.tsv"


def read_class_folders(path: Path, rate_hz: int) -> tuple[CollectedSpeech, tuple[str, ...]]:
    """Reads PATH/CLASS/*.wav.

    Clips of one speaker share a split where names are SPEAKER_nohash_N.wav, as in Speech Commands.

    Args:
        path: the folder.
        rate_hz: of the result.

    Returns:
        The clips, and the classes by alphabet. What cannot be read, or is silent, is counted.

    Raises:
        UserError: there is no such folder, or no sub-folder with WAV files.
    """
    _check_folder(path)
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and _wavs(folder))
    if not folders:
        raise UserError(f"{path}: expected one sub-folder for each class, with .wav files in it; there is none")
    collected = CollectedSpeech(f"folder:{path}", rate_hz)
    for label, folder in enumerate(folders):
        for file in _wavs(folder):
            _add(collected, file, label)
    return collected, tuple(folder.name for folder in folders)


def read_digit_strings(path: Path, rate_hz: int) -> CollectedSpeech:
    """Reads PATH/**/*.wav with strings of digits.

    A transcript is the row of the file in `transcripts.tsv` (file name, tab, transcript), or the content of a .txt file
    beside it, or the digits that its name begins with: "351_anna.wav". It is digits or their English names.

    Args:
        path: the folder.
        rate_hz: of the result.

    Raises:
        UserError: there is no such folder, or no WAV file in it.
    """
    _check_folder(path)
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".wav" and file.is_file())
    if not files:
        raise UserError(f"{path}: expected .wav files with their transcripts; there is none")
    collected = CollectedSpeech(f"folder:{path}", rate_hz)
    for file, transcript in read_transcripts(path, files):
        digits = digits_of(transcript)
        if digits is None:
            collected.skipped[f"without a transcript of 1 to {LONGEST_STRING} digits"] += 1
        else:
            _add(collected, file, np.pad(digits, (0, LONGEST_STRING - len(digits)), constant_values=-1))
    return collected


def digits_of(transcript: str) -> list[int] | None:
    """Digits of a transcript, or None if it is not one of 1 to `LONGEST_STRING` digits.

    >>> digits_of("three 5 One"), digits_of("351"), digits_of("three pigs")
    ([3, 5, 1], [3, 5, 1], None)
    """
    digits = []
    for word in re.findall(r"[^\W\d_]+|\d", transcript.lower()):
        if word not in DIGITS and not word.isdigit():
            return None
        digits.append(int(word) if word.isdigit() else DIGITS.index(word))
    return digits if 1 <= len(digits) <= LONGEST_STRING else None


def read_transcripts(path: Path, files: list[Path]) -> list[tuple[Path, str]]:
    """Return the files below a folder, each with its transcript as `read_digit_strings` finds it."""
    table = _table(path / TRANSCRIPTS)
    return [(file, _transcript(file, table)) for file in files]


def _check_folder(path):
    if not path.is_dir():
        raise UserError(f"folder:{path}: there is no such folder")


def _wavs(folder):
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".wav" and file.is_file())


def _add(collected, file, label):
    try:
        content = file.read_bytes()
        signal = decode_wav(content, collected.rate_hz)
    except (OSError, UserError) as error:
        reason = str(error).removeprefix("the content ").split(":")[0]
        collected.skipped[f"not to be read ({reason})"] += 1
        return
    speaker, nohash, _ = file.stem.partition("_nohash_")
    collected.add(signal, label, speaker if nohash else hashlib.md5(content).hexdigest())


def _table(path):
    if not path.exists():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from error
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def _transcript(file, table):
    beside = file.with_suffix(".txt")
    if file.name in table:
        return table[file.name]
    if beside.exists():
        return beside.read_text(encoding="utf-8", errors="replace")
    return re.match(r"\d*", file.stem).group()
