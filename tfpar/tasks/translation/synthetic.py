"""A tiny made-up translation task, to try a recipe's whole path in seconds and without a network."""

import numpy as np

from tfpar.tasks.translation.data import Pairs, TranslationPairs

_DIGITS = 4
_SOURCE_DIGITS = ("nul", "one", "two", "tri", "four", "fim", "six", "sept", "oct", "nin")
_TARGET_DIGITS = ("zéro", "uño", "dó", "tré", "çatre", "cinqo", "sèis", "siet", "óch", "nüev")
_SOURCE_POWERS = ("", "ty", "hun", "tou")
_TARGET_POWERS = ("", "ánt", "cént", "míl")


def generate_translation(seed: int = 0, train: int = 64, held_out: int = 16) -> TranslationPairs:
    """Generate numbers below 10,000 spelled out in two artificial languages, one with the ones first.

    >>> pairs = generate_translation().train
    >>> pairs.sources[0], pairs.targets[0]
    ('tritou fimhun septty oct?', '¿óch y ánt siet y cént cinqo y míl tré?')

    Args:
        seed: of the numbers.
        train: number of training pairs.
        held_out: number of validation pairs, and of test pairs; no number is in two splits.

    Raises:
        ValueError: more pairs are asked for than there are numbers.
    """
    wanted, numbers = train + 2 * held_out, 10**_DIGITS - 1
    if not (train >= 1 and held_out >= 1 and wanted <= numbers):
        raise ValueError(
            f"`train` and `held_out` must be 1 or more, train + 2 * held_out at most {numbers}; got {train}, {held_out}"
        )
    drawn = 1 + np.random.default_rng(seed).permutation(numbers)[:wanted]
    return TranslationPairs(
        name="generated",
        train=_pairs(drawn[:train]),
        validation=_pairs(drawn[train : train + held_out]),
        test=_pairs(drawn[train + held_out :]),
        notice="Made up by a random generator; no license.",
        split_rule="drawn without repeats",
        skipped={},
    )


def _pairs(numbers: np.ndarray) -> Pairs:
    digits = [[number // 10**power % 10 for power in range(_DIGITS)] for number in numbers.tolist()]
    return Pairs([_source(digits_of) for digits_of in digits], [_target(digits_of) for digits_of in digits])


def _source(digits: list[int]) -> str:
    """Spell from the highest place down, one word for each digit that is not 0."""
    words = [_SOURCE_DIGITS[digit] + power for digit, power in zip(digits, _SOURCE_POWERS, strict=True) if digit]
    return " ".join(reversed(words)) + "?"


def _target(digits: list[int]) -> str:
    """Spell from the ones up, the place before its digit."""
    digits_of = [(power, digit) for digit, power in zip(digits, _TARGET_POWERS, strict=True) if digit]
    words = [f"{power} {_TARGET_DIGITS[digit]}".strip() for power, digit in digits_of]
    return "¿" + " y ".join(words) + "?"
