"""Texts as token ids in three splits, cut by position."""

import dataclasses
from pathlib import Path

import numpy as np

from tfpar.data.readers.specs import make_file_notice
from tfpar.data.readers.text_files import UTF8, open_text
from tfpar.errors import UserError
from tfpar.tasks.base import SPLITS
from tfpar.tasks.language_modeling.vocabulary import Vocabulary

_KIND = "text"


@dataclasses.dataclass(frozen=True, eq=False)
class LanguageData:
    """A text for a language model.

    Attributes:
        name: the spec that it was loaded by.
        train, validation, test: token ids, int32 (characters,); the validation split may be empty.
        vocabulary: of the training split.
        split_rule: one sentence: how the splits came about.
        notice: license or attribution to show to the user.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    vocabulary: Vocabulary
    split_rule: str
    notice: str


def load_language_data(
    spec: str,
    *,
    split: str = "0.88,0.02,0.1",
    window: int = 100,
    max_size: int = 10_000,
    min_frequency: int = 2,
    encoding: str = UTF8,
) -> LanguageData:
    """Load a text.

    Args:
        spec: "text:PATH".
        split: fractions of the text for training, validation and test, in this order.
        window: characters of a training window; the training split must be longer.
        max_size, min_frequency: of the vocabulary, see `Vocabulary.of_text`.
        encoding: of the file.

    Raises:
        UserError: the spec, the file or the fractions are not as required, or the text is too short.
    """
    fractions = parse_split(split)
    path = parse_text_spec(spec)
    text = read_text(path, encoding)
    return split_text(spec, text, fractions, window, max_size, min_frequency, make_file_notice(path))


def split_text(
    name: str, text: str, fractions: list[float], window: int, max_size: int, min_frequency: int, notice: str
) -> LanguageData:
    """Cut a text into splits, and encode them; see `load_language_data`."""
    ends = np.round(np.cumsum(fractions) * len(text)).astype(int)
    ends[-1] = len(text)
    texts = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    least = {"train": window + 1, "validation": 2 if fractions[1] else 0, "test": 2}
    for (split, needed), piece in zip(least.items(), texts, strict=True):
        if len(piece) < needed:
            raise UserError(
                f"{name}: the {split} split must have {needed} or more characters; got {len(piece)} of the text's "
                f"{len(text)}. Give a longer text, another --split or a shorter --window"
            )
    vocabulary = Vocabulary.of_text(texts[0], max_size=max_size, min_frequency=min_frequency)
    return LanguageData(
        name=name,
        **{split: vocabulary.encode(piece) for split, piece in zip(SPLITS, texts, strict=True)},
        vocabulary=vocabulary,
        split_rule="by position: the first {:g} % train, the next {:g} % validate, the last {:g} % test".format(
            *(100 * fraction for fraction in fractions)
        ),
        notice=notice,
    )


def parse_text_spec(spec: str) -> Path:
    """Return the path of "text:PATH".

    Raises:
        UserError: it is something else.
    """
    kind, _, rest = spec.partition(":")
    if kind != _KIND or not rest:
        raise UserError(f"the data must be text:PATH, a text file; got {spec!r}")
    return Path(rest).expanduser()


def read_text(path: Path, encoding: str = UTF8) -> str:
    r"""Read a text file; lines end in "\n".

    Raises:
        UserError: it cannot be read, is empty or is in another encoding.
    """
    with open_text(path, encoding, strict=True) as file:
        text = file.read().replace("\r\n", "\n")
    if not text:
        raise UserError(f"{path} is empty; give a text of at least some hundred characters")
    return text


def parse_split(split: str) -> list[float]:
    """Parse three fractions.

    Raises:
        UserError: they are not three numbers that add up to 1, the first and the last above 0.

    >>> parse_split("0.8,0.1,0.1")
    [0.8, 0.1, 0.1]
    """
    try:
        fractions = [float(number) for number in split.split(",")]
    except ValueError:
        fractions = []
    is_valid = len(fractions) == 3 and min(fractions) >= 0 and fractions[0] > 0 < fractions[2]
    if not is_valid or abs(sum(fractions) - 1) > 1e-6:
        raise UserError(
            "--split must be three fractions that add up to 1, for training, validation and test, such as "
            f"0.88,0.02,0.1; got {split!r}"
        )
    return fractions
