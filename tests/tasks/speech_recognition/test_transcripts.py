"""Answers and truths of a recognizer as text, and how far apart they are."""

import importlib.util

import numpy as np
import pytest

from tfpar.tasks.speech_recognition import decode_transcript, measure_string_errors, spell_labels

NAMES = ("zero", "one", "two")


def test_ctc_merges_repeats_and_drops_blanks():
    best = np.eye(4)[[0, 1, 1, 0, 1, 2, 3, 3, 0]]
    assert decode_transcript(best, NAMES) == "zero zero one two"
    assert decode_transcript(np.eye(4)[[0, 0]], NAMES) == ""


def test_truths_are_spelt_as_answers_are():
    assert spell_labels(np.array([[0, 0, 2], [1, -1, -1]]), NAMES) == ["zero zero two", "one"]
    assert spell_labels(np.array([2, 0]), NAMES) == ["two", "zero"]


@pytest.mark.skipif(importlib.util.find_spec("jiwer") is None, reason="needs the extra `speech`")
def test_errors_are_counted_by_words_and_by_strings():
    errors = measure_string_errors(["zero one two", "one"], ["zero two two", "one"])
    assert errors == {"wer": pytest.approx(1 / 4), "accuracy": 0.5}
