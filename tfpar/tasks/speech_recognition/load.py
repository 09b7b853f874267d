"""Loading of speech data: from a dataset spec to three checked splits."""

from pathlib import Path

import numpy as np

from tfpar.checks import check_one_of, did_you_mean
from tfpar.data.readers.specs import FOLDER, check_options, make_file_notice
from tfpar.errors import UserError
from tfpar.tasks.speech_recognition.clips import pack
from tfpar.tasks.speech_recognition.data import SpeechData, assemble_speech
from tfpar.tasks.speech_recognition.folder import read_class_folders, read_digit_strings
from tfpar.tasks.speech_recognition.synthesis import RATE_HZ, STRING_SAMPLES, WORD_SAMPLES, load_synthesized
from tfpar.tasks.speech_recognition.voices import DIGITS, LONGEST_STRING, SPLIT_RULE, WORDS

TASKS = ("word", "digits")
_BUNDLED = "espeak"
_NOTICE = (
    "Synthesized by eSpeak NG (GPL-3), which is called and not part of tfpar: https://github.com/espeak-ng/espeak-ng"
)


def load_speech(
    dataset: str,
    *,
    task: str = "word",
    words: str = "digits",
    group: str = "",
    cache_dir: Path | str | None = None,
) -> SpeechData:
    """Load speech at 8 kHz, trimmed: words in rows of one second, strings of digits in rows of five.

    Args:
        dataset: "espeak" (synthesized, in the split of voices), "folder:PATH" or "tfds:NAME[/CONFIG]".
        task: "word": one word of some classes in each clip; "digits": strings of one to six digits.
        words: "digits", "commands" or "all", of "espeak".
        group: of folder: a regular expression that is searched in a file's path below the folder; clips for which its
            first group is the same, such as those of one speaker, share a split. A file `groups.tsv` in the folder,
            with path, tab and group in each line, says the same; names SPEAKER_nohash_N.wav do, too.
        cache_dir: where to synthesize and prepare; by default $TFPAR_CACHE, else the user's cache directory.

    Returns:
        `SpeechData`.

    Raises:
        UserError: the spec or what it names is not what is needed.
        MissingExtraError: a package is needed and not installed.
    """
    check_one_of("task", task, TASKS)
    check_one_of("words", words, tuple(WORDS))
    cache_dir = Path(cache_dir).expanduser() if cache_dir is not None else None
    samples = WORD_SAMPLES if task == "word" else STRING_SAMPLES
    kind, _, rest = dataset.partition(":")
    check_options(dataset, kind, FOLDER, group=group)
    if dataset == _BUNDLED:
        splits = load_synthesized(words if task == "word" else "strings", cache_dir)
        names = WORDS[words] if task == "word" else DIGITS
        return SpeechData(
            dataset,
            train=splits["train"],
            validation=splits["validation"],
            test=splits["test"],
            class_names=names,
            rate_hz=RATE_HZ,
            split_rule=SPLIT_RULE,
            notice=_NOTICE,
        )
    if kind == "folder" and rest:
        path = Path(rest).expanduser()
        if task == "digits":
            collected, names = read_digit_strings(path, RATE_HZ, group), DIGITS
        else:
            collected, names = read_class_folders(path, RATE_HZ, group)
        return assemble_speech(dataset, collected, names, samples, make_file_notice(path))
    if kind == "tfds" and rest and task == "word":
        from tfpar.tasks.speech_recognition.tfds import read_tfds_speech

        collected, names, notice = read_tfds_speech(rest, RATE_HZ, cache_dir)
        return assemble_speech(dataset, collected, names, samples, notice)
    raise UserError(_describe_unknown(dataset, task))


def _describe_unknown(dataset, task):
    expected = f"{_BUNDLED}, folder:PATH" + (" or tfds:NAME[/CONFIG]" if task == "word" else "")
    closest = did_you_mean(dataset.partition(":")[0], (_BUNDLED, "folder", "tfds"))
    return f"unknown dataset {dataset!r} for --task {task}; expected {expected}{closest}"


def generate_speech(seed: int = 0, task: str = "word", train: int = 32, held_out: int = 8) -> SpeechData:
    """Generate sounds for smoke runs: each word is a tone, each string a tone per digit.

    Args:
        seed: of the sounds.
        task: "word" or "digits".
        train: number of training examples.
        held_out: number of validation examples, and of test examples.
    """
    generator = np.random.default_rng(seed)
    samples = WORD_SAMPLES if task == "word" else 2 * WORD_SAMPLES

    def tone(symbol):
        time_s = np.arange(generator.integers(1600, 2400)) / RATE_HZ
        return np.sin(2 * np.pi * (300 + 250 * symbol) * time_s) * np.hanning(len(time_s)) * generator.uniform(0.1, 0.9)

    def split(count):
        if task == "word":
            labels = np.arange(count) % 4
            return pack([tone(label) for label in labels], labels, samples)
        strings = [generator.integers(0, 10, generator.integers(1, LONGEST_STRING + 1)) for _ in range(count)]
        sounds = [np.concatenate([tone(digit) for digit in string]) for string in strings]
        padded = [np.pad(string, (0, LONGEST_STRING - len(string)), constant_values=-1) for string in strings]
        return pack(sounds, padded, samples)

    return SpeechData(
        name="generated",
        train=split(train),
        validation=split(held_out),
        test=split(held_out),
        class_names=DIGITS[:4] if task == "word" else DIGITS,
        rate_hz=RATE_HZ,
        split_rule="drawn independently",
        notice="Made up by a random generator; no license.",
    )
