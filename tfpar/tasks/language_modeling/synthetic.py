"""A tiny made-up text, to try the whole path in seconds."""

import numpy as np

from tfpar.tasks.language_modeling.data import LanguageData, split_text

_SUBJECTS = ("the cat", "a dog", "my horse", "one bird")
_VERBS = ("sees", "hears", "follows", "feeds")


def generate_language_data(seed: int = 0, sentences: int = 200, window: int = 16) -> LanguageData:
    """Generate a text of sentences of subject, verb and object.

    Args:
        seed: of the text.
        sentences: number of them.
        window: see `load_language_data`.
    """
    generator = np.random.default_rng(seed)
    text = "".join(
        f"{generator.choice(_SUBJECTS)} {generator.choice(_VERBS)} {generator.choice(_SUBJECTS)}.\n"
        for _ in range(sentences)
    )
    return split_text("generated", text, [0.8, 0.1, 0.1], window, 100, 1, "Made up by a random generator; no license.")
