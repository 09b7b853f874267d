"""Synthesized speech: what is planned for each split, and what the real synthesizer says."""

import hashlib
import sys

import numpy as np
import pytest

from tfpar.errors import MissingExtraError
from tfpar.tasks.speech_recognition.espeak import Synthesizer
from tfpar.tasks.speech_recognition.load import load_speech
from tfpar.tasks.speech_recognition.synthesis import plan
from tfpar.tasks.speech_recognition.voices import ACCENTS, DIGITS, split_variants


def test_training_varies_and_held_out_voices_speak_as_usual():
    training, test = list(plan("digits", "train", ["f1", "f2"])), list(plan("digits", "test", ["m1"]))
    assert len(training) == 2 * len(ACCENTS) * 10 * 2 and len(test) == len(ACCENTS) * 10
    assert {(u.rate, u.pitch, u.pitch_range) for u in test} == {(175, 50, 50)}
    rates = [u.rate for u in training]
    assert 110 <= min(rates) < 130 and 280 < max(rates) <= 300
    assert all(10 <= value <= 90 for u in training for value in (u.pitch, u.pitch_range))
    assert all((DIGITS[u.label],) == u.texts for u in training)
    assert training == list(plan("digits", "train", ["f1", "f2"]))


def test_strings_of_one_to_six_digits_are_said_at_one_go_or_digit_by_digit():
    strings = list(plan("strings", "test", ["m1"]))
    for number, utterance in enumerate(strings):
        digits = [int(digit) for digit in utterance.label if digit >= 0]
        assert " ".join(utterance.texts) == " ".join(DIGITS[digit] for digit in digits) and 1 <= len(digits) <= 6
        assert len(utterance.texts) == (len(digits) if number % 2 else 1) == len(utterance.pauses_s) + 1
        assert all(0 <= pause_s <= 0.3 for pause_s in utterance.pauses_s)
    assert max(len(utterance.pauses_s) for utterance in strings) > 1


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"tfpar\[speech\]"):
        load_speech("espeak", cache_dir=tmp_path)


@pytest.mark.network  # the library comes from the package index
def test_the_synthesized_digits_and_their_split(tmp_path):
    speech = load_speech("espeak", cache_dir=tmp_path)
    assert [len(split) for split in (speech.train, speech.validation, speech.test)] == [10_920, 560, 1_260]
    splits = split_variants(Synthesizer().variants())
    assert hashlib.md5(",".join(splits["test"]).encode()).hexdigest() == "abd1e76c49338a728b7fccaf5e7ab64c"
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [78, 8, 18]
    assert np.bincount(speech.test.labels).tolist() == [126] * 10
    assert 0.2 < speech.test.lengths.mean() / speech.rate_hz < 0.5
    (tmp_path / "speech" / "digits-3.npz").unlink()
    again = load_speech("espeak", cache_dir=tmp_path)
    np.testing.assert_array_equal(again.test.audio, speech.test.audio)  # a fresh process repeats
    np.testing.assert_array_equal(again.train.audio, speech.train.audio)
