"""Synthesized speech: clips by eSpeak NG in many voices, made once in a process of its own and cached."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpar.data.readers.cache import cache_root, locked
from tfpar.data.readers.splits import SPLITS
from tfpar.data.resampling import resample
from tfpar.errors import UserError
from tfpar.files import written_atomically
from tfpar.tasks.speech_recognition.clips import Clips, pack, trim
from tfpar.tasks.speech_recognition.espeak import Synthesizer
from tfpar.tasks.speech_recognition.voices import ACCENTS, DIGITS, LONGEST_STRING, WORDS, split_variants

RATE_HZ = 8000
KINDS = (*WORDS, "strings")
# In what is cached; another number where it would be made otherwise.
_VERSION = 3
WORD_SAMPLES = RATE_HZ
STRING_SAMPLES = 5 * RATE_HZ
_WORD_TAKES = {"train": 2, "validation": 1, "test": 1}
_STRINGS_PER_VOICE = {"train": 16, "validation": 4, "test": 4}
_LONGEST_PAUSE_S = 0.3


class Utterance(NamedTuple):
    """Texts, voice and label of one clip.

    Attributes:
        texts: each is spoken separately.
        pauses_s: of silence, behind each text but the last.
        voice, rate, pitch, pitch_range: see `Synthesizer.speak`.
        label: a class, or digits padded by -1.
    """

    texts: tuple[str, ...]
    pauses_s: tuple[float, ...]
    voice: str
    rate: int
    pitch: int
    pitch_range: int
    label: object


def plan(kind: str, split: str, variants: list[str]) -> Iterator[Utterance]:
    """Yield a split's utterances. Training varies rate and pitch; held-out voices have the usual ones.

    Args:
        kind: one of `KINDS`.
        split: "train", "validation" or "test".
        variants: voice variants of the split.
    """
    generator = np.random.default_rng(SPLITS.index(split))
    voices = [f"{accent}+{variant}" for accent in ACCENTS for variant in variants]
    for voice in voices:
        for texts, pauses_s, label in _texts(kind, split, generator):
            rate, pitch, pitch_range = 175, 50, 50
            if split == "train":
                rate = int(generator.integers(110, 301))
                pitch, pitch_range = map(int, generator.integers(10, 91, 2))
            yield Utterance(texts, pauses_s, voice, rate, pitch, pitch_range, label)


def _texts(kind, split, generator):
    """Yield texts, the pause after each, and the label."""
    if kind != "strings":
        for index, word in list(enumerate(WORDS[kind])) * _WORD_TAKES[split]:
            yield (word,), (), index
        return
    for number in range(_STRINGS_PER_VOICE[split]):
        string = generator.integers(0, 10, generator.integers(1, LONGEST_STRING + 1))
        words = tuple(DIGITS[digit] for digit in string)
        label = np.pad(string, (0, LONGEST_STRING - len(string)), constant_values=-1)
        # Some people say a number at one go, others digit by digit.
        if number % 2:
            yield words, tuple(generator.uniform(0, _LONGEST_PAUSE_S, len(words) - 1)), label
        else:
            yield (" ".join(words),), (), label


def load_synthesized(kind: str, cache_dir: Path | None = None) -> dict[str, Clips]:
    """Load clips by split from the cache, after synthesizing them if needed, in a minute or two.

    Args:
        kind: "digits", "commands" or "all" for single words; "strings" for one to six digits.
        cache_dir: by default `cache_root()`.

    Raises:
        UserError: they cannot be made, or not be cached.
        MissingExtraError: eSpeak NG is not installed.
    """
    path = (cache_dir or cache_root()) / "speech" / f"{kind}-{_VERSION}.npz"
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            _make_in_fresh_process(kind, path)
    with np.load(path) as stored:
        return {
            split: Clips(*(stored[f"{split}_{name}"] for name in ("audio", "lengths", "labels"))) for split in SPLITS
        }


def _make_in_fresh_process(kind, path):
    """Synthesize in a new process: only that repeats exactly."""
    try:
        import espeakng_loader  # noqa: F401
    except ImportError:
        Synthesizer()  # says what is missing
    done = subprocess.run(
        [sys.executable, "-m", "tfpar.tasks.speech_recognition.synthesis", kind, str(path)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"speech could not be synthesized into {path}: {last}")


def write(kind: str, path: Path) -> None:
    """Synthesize all splits of a kind and write them to `path`; for a new process."""
    synthesizer = Synthesizer()
    arrays: dict[str, Any] = {}
    samples = STRING_SAMPLES if kind == "strings" else WORD_SAMPLES
    variants = split_variants(synthesizer.variants())
    for split in SPLITS:
        clips = _spoken(synthesizer, list(plan(kind, split, variants[split])), samples)
        arrays |= {f"{split}_{name}": getattr(clips, name) for name in ("audio", "lengths", "labels")}
    with written_atomically(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def _spoken(synthesizer, utterances, samples):
    signals = [_signal(synthesizer, utterance) for utterance in utterances]
    # A word that is too long is cut by `pack`; of a string that is too long, digits would be missing.
    longest = samples if samples == STRING_SAMPLES else np.inf
    selected = [index for index, signal in enumerate(signals) if 0 < len(signal) <= longest]
    return pack([signals[index] for index in selected], [utterances[index].label for index in selected], samples)


def _signal(synthesizer, utterance):
    """Return the signal of an utterance at `RATE_HZ`, with each text trimmed."""
    manner = (utterance.voice, utterance.rate, utterance.pitch, utterance.pitch_range)
    pieces = []
    for text, pause_s in zip(utterance.texts, (*utterance.pauses_s, 0.0), strict=True):
        samples = synthesizer.speak(text, *manner)
        pieces += [trim(resample(samples / 32768, synthesizer.rate_hz, RATE_HZ), RATE_HZ)]
        pieces += [np.zeros(round(pause_s * RATE_HZ))]
    return np.concatenate(pieces)


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
