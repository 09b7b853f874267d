"""Text to token ids."""

import subprocess
import sys
import time

import numpy as np
import pytest

from tfpar.data.trained_tokenizer import PAD_ID, UNKNOWN_ID
from tfpar.errors import MissingExtraError, UserError
from tfpar.tasks.text_classification.tokenizer import Tokenizer

TEXTS = [
    "It isn't a good film, is it?",
    "A GOOD film... I don\u2019t mind",
    "we can't say; they'll see \uff21\uff22",
] * 2


@pytest.fixture(params=["word", "bpe"])
def tokenizer(request) -> Tokenizer:
    return Tokenizer.train(TEXTS, kind=request.param, vocabulary_size=200, min_frequency=1)


def tokens(tokenizer: Tokenizer, text: str, max_length: int = 50) -> list[str]:
    return [tokenizer.vocabulary[index] for index in tokenizer.encode([text], max_length)[0]]


def test_words_contractions_and_marks_come_apart():
    tokenizer = Tokenizer.train(TEXTS, min_frequency=1)
    assert tokens(tokenizer, TEXTS[0]) == ["it", "is", "n't", "a", "good", "film", ",", "is", "it", "?"]
    assert tokens(tokenizer, TEXTS[1]) == ["a", "good", "film", "...", "i", "do", "n't", "mind"]
    assert tokens(tokenizer, TEXTS[2]) == ["we", "ca", "n't", "say", ";", "they", "'ll", "see", "ab"]


def test_subwords_spell_words_that_training_never_showed():
    tokenizer = Tokenizer.train(TEXTS, kind="bpe", vocabulary_size=60, min_frequency=1)
    assert "".join(tokens(tokenizer, "Goodfilmsay mind")) == "\u2581goodfilmsay\u2581mind"
    assert tokenizer.vocabulary_size <= 60


def test_special_ids(tokenizer):
    assert tokenizer.vocabulary[PAD_ID] == "[PAD]" and tokenizer.vocabulary[UNKNOWN_ID] == "[UNK]"
    assert len(tokenizer.vocabulary) == tokenizer.vocabulary_size == len(set(tokenizer.vocabulary))


def test_a_text_cannot_smuggle_padding_in(tokenizer):
    assert PAD_ID not in tokenizer.encode(["[PAD] film [PAD]"], 20)[0]


@pytest.mark.parametrize("text", ["", "   \n\t", "\u3000"])
def test_nothing_becomes_one_unknown(tokenizer, text):
    assert tokenizer.encode([text], 5)[0].tolist() == [UNKNOWN_ID]


@pytest.mark.parametrize("text", ["\udcff caf\udce9", "a\0b", "\U0001f600 \u200b", "\ufeffgood"])
def test_odd_characters_pass(tokenizer, text):
    assert len(tokenizer.encode([text], 5)[0]) >= 1


def test_ids_are_int32_and_cut(tokenizer):
    short, cut = tokenizer.encode(["film", "film " * 9], 4)
    assert short.dtype == cut.dtype == np.int32
    assert len(cut) == 4


def test_cutting_the_text_first_changes_nothing(tokenizer):
    text = " ".join(TEXTS)
    whole = tokenizer.encode([text], 1000)[0]
    for length in (1, 2, 7, 20):
        np.testing.assert_array_equal(tokenizer.encode([text], length)[0], whole[:length])


@pytest.mark.parametrize("text", ["don't go " * 50_000, "x" * 300_000, "!" * 300_000])
def test_a_very_long_text_is_encoded_at_once(tokenizer, text):
    start = time.perf_counter()
    assert 1 <= len(tokenizer.encode([text], 100)[0]) <= 100
    assert time.perf_counter() - start < 2.0


def test_save_and_load(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    loaded = Tokenizer.load(path)
    assert loaded.vocabulary == tokenizer.vocabulary
    texts = [*TEXTS, "[PAD] unseen words", ""]
    for ours, theirs in zip(tokenizer.encode(texts, 9), loaded.encode(texts, 9), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert list(tmp_path.iterdir()) == [path]
    assert Tokenizer.loads(path.read_text(encoding="utf-8")).vocabulary == tokenizer.vocabulary


def test_content_that_is_no_tokenizer():
    with pytest.raises(UserError, match="words.json is not a tokenizer"):
        Tokenizer.loads("{}", "words.json")


@pytest.mark.parametrize("content", [None, "", "{}", "not json", b"\xff\xfe"])
def test_a_file_that_is_no_tokenizer(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match="tokenizer.json"):
        Tokenizer.load(path)


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_the_vocabulary_is_the_same_in_every_process(kind):
    program = "from tfpar.tasks.text_classification.tokenizer import Tokenizer\n"
    program += (
        "texts = [' '.join(f'{chr(97 + i % 26)}{chr(0x4e00 + i)}{i % 7}' for i in range(n, 1300)) for n in (0, 1, 2)]\n"
    )
    program += f"print(ascii(Tokenizer.train(texts, kind={kind!r}, vocabulary_size=1200).vocabulary))"
    outputs = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(kind="char"), "`kind` must be one of 'word', 'bpe'; got kind='char'"),
        (dict(vocabulary_size=2), "`vocabulary_size` must be 3 or more"),
        (dict(min_frequency=0), "`min_frequency` must be 1 or more"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        Tokenizer.train(TEXTS, **options)


@pytest.mark.parametrize("texts", [[], ["", " "], ["once only"]])
def test_nothing_to_learn(texts):
    with pytest.raises(UserError, match="no word that occurs 2 times"):
        Tokenizer.train(texts)


def test_wrong_calls(tokenizer):
    with pytest.raises(ValueError, match="`max_length` must be 1 or more"):
        tokenizer.encode(["a"], 0)
    with pytest.raises(TypeError, match="put it into a list"):
        tokenizer.encode("one string", 5)
    with pytest.raises(TypeError, match="got bytes"):
        tokenizer.encode([b"bytes"], 5)


def test_a_missing_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for call in (lambda: Tokenizer.train(TEXTS), lambda: Tokenizer.load(tmp_path / "any")):
        with pytest.raises(MissingExtraError, match=r"pip install 'tfpar\[recipes\]'"):
            call()
