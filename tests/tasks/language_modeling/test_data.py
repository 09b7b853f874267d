"""Texts for language models: characters as token ids, splits by position, windows, and what is refused."""

import re

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.tasks.language_modeling.batches import window_batches
from tfpar.tasks.language_modeling.data import load_language_data
from tfpar.tasks.language_modeling.vocabulary import Vocabulary


def test_rare_and_new_characters_are_unknown():
    vocabulary = Vocabulary.of_text("aabbbcé😀😀", min_frequency=2)
    assert vocabulary.characters == "ab😀" and len(vocabulary) == 5
    assert vocabulary.encode("ba😀éz").tolist() == [3, 2, 4, 1, 1]
    assert vocabulary.encode("").tolist() == [] and vocabulary.encode("\ud800").tolist() == [1]
    assert vocabulary.decode([3, 2, 4, 1]) == "ba😀\ufffd" and vocabulary.find_unknown("zaéz") == "zé"
    assert Vocabulary.of_text("aabbbc", max_size=1, min_frequency=1).characters == "b"


def test_a_saved_vocabulary(tmp_path):
    path = tmp_path / "vocabulary.json"
    Vocabulary('"\n\\é😀').save(path)
    assert Vocabulary.loads(path.read_bytes()).characters == '\n"\\é😀'
    for content in (b"", b"[]", b'{"characters": 1}', b'{"characters": "aa"}', b"\xff"):
        with pytest.raises(UserError, match="not a vocabulary"):
            Vocabulary.loads(content)


def test_splits_by_position(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + b"ab" * 40 + b"\r\n" * 10 + b"cd" * 5)
    data = load_language_data(f"text:{path}", split="0.8,0.1,0.1", window=10)
    assert data.vocabulary.characters == "ab"
    assert data.train.tolist() == [2, 3] * 40 and data.validation.tolist() == [1] * 10 == data.test.tolist()
    assert data.split_rule.endswith("the first 80 % train, the next 10 % validate, the last 10 % test")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "text.txt is empty"),
        (b"ab" * 40, {"window": 80}, "train split must have 81 or more characters; got 70 of the text's 80"),
        (b"abab", {"window": 1}, "the validation split must have 2 or more characters; got 0"),
        (b"ab" * 400, {"split": "0.9,0.1"}, "--split must be three fractions that add up to 1"),
        (b"ab" * 400, {"split": "1,0,0"}, "--split must be three fractions that add up to 1"),
        (b"ab" * 400, {"split": "0.9,-0.1,0.2"}, "--split must be three fractions that add up to 1"),
        (b"\xe9" * 400, {}, "text.txt is not UTF-8"),
        (bytes(range(32, 127)), {"window": 10}, "no character of the training text occurs 2 times"),
    ],
)
def test_what_is_refused(tmp_path, content, options, message):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        load_language_data(f"text:{path}", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["", "text:", "csv:a.csv", "a.txt", "text:absent.txt"])
def test_specs_that_are_refused(spec):
    with pytest.raises(UserError, match="the data must be text:PATH|absent.txt does not exist"):
        load_language_data(spec)


def batches_of(tokens, **options):
    return [[part.numpy() for part in batch] for batch in window_batches(np.asarray(tokens, np.int32), **options)]


@pytest.mark.parametrize("length", [2, 9, 10, 11, 24, 25, 26])
def test_evaluation_predicts_each_character_once(length):
    tokens = np.arange(1, length + 1)
    batches = batches_of(tokens, window=4, batch_size=2)
    assert all(part.shape == (2, 4) for batch in batches for part in batch)
    inputs, targets, weights = (np.concatenate([batch[i].ravel() for batch in batches]) for i in range(3))
    np.testing.assert_array_equal(inputs[weights == 1], tokens[:-1])
    np.testing.assert_array_equal(targets[weights == 1], tokens[1:])
    assert set(weights) <= {0, 1}


def test_training_windows_depend_on_seed_and_epoch_alone():
    tokens, options = np.arange(1, 60), dict(window=8, batch_size=4, shuffle=True, seed=3)
    dataset = window_batches(tokens.astype(np.int32), **options)
    epochs = [[[part.numpy() for part in batch] for batch in dataset] for _ in range(2)]
    again = batches_of(tokens, replicas=2, first_epoch=1, **options)
    for one, other in zip(epochs[1], again, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    starts = [sorted(row[0] for batch in epoch for row in batch[0] if row[0]) for epoch in epochs]
    assert starts[0] != starts[1]
    for epoch in epochs:
        inputs, targets, weights = (np.concatenate([batch[i] for batch in epoch]) for i in range(3))
        rows = weights[:, 0] == 1
        assert rows.sum() == (59 - 8) // 8
        np.testing.assert_array_equal(targets[rows], inputs[rows] + 1)
        assert len(set(inputs[rows].ravel())) == rows.sum() * 8  # windows do not overlap


def test_a_batch_that_replicas_cannot_share():
    with pytest.raises(UserError, match="must be a multiple"):
        window_batches(np.ones(20, np.int32), window=4, batch_size=3, replicas=2)
