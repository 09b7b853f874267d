"""Tiny made-up data, to try a recipe's whole path in seconds and without a network."""

import numpy as np

from tfpar.tasks.text_classification.data import LabeledTexts, TextClassificationData

_WORDS = {0: ("dull", "weak", "boring", "sad"), 1: ("bright", "strong", "gripping", "glad")}
_NEUTRAL = ("a", "film", "with", "the", "story", "and", "of", "actors", "this", "plot")


def generate_text_classification(seed: int = 0, train: int = 64, held_out: int = 16) -> TextClassificationData:
    """Generate texts of 2 to 12 words, of which one or two indicate the class.

    Args:
        seed: of the texts.
        train: number of training examples.
        held_out: number of validation examples, and of test examples.
    """
    generator = np.random.default_rng(seed)

    def split(count):
        labels = np.arange(count, dtype=np.int32) % 2
        return LabeledTexts(tuple(_text(generator, int(label)) for label in labels), labels)

    return TextClassificationData(
        name="generated",
        train=split(train),
        validation=split(held_out),
        test=split(held_out),
        unlabeled=(),
        class_names=("negative", "positive"),
        split_rule="drawn independently",
        notice="Made up by a random generator; no license.",
        skipped={},
    )


def _text(generator, label):
    words = list(generator.choice(_NEUTRAL, generator.integers(1, 11))) + list(generator.choice(_WORDS[label], 1))
    generator.shuffle(words)
    return " ".join(map(str, words))
