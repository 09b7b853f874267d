"""Subwords that can be put together again."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest

from tfpar.errors import MissingExtraError, UserError
from tfpar.tasks.text_classification import Tokenizer
from tfpar.tasks.translation import SubwordTokenizer, generate_translation

TEXTS = ["¿Qué tal, señor Ñúñez?", "How's it going, Mr. Smith?", "¡Adiós! Nos vemos a las 10:30."] * 2


@pytest.fixture(scope="module")
def tokenizer() -> SubwordTokenizer:
    return SubwordTokenizer.train(TEXTS, vocabulary_size=400, min_frequency=1)


def there_and_back(tokenizer: SubwordTokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode([text], 10_000)[0])


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS[:3],
        "¿¡Ÿ señorita ÀÉÎÕÜ çedilla!?",
        "«comillas» — guion, it's 'quoted' (100 % of $5.00)",
        "emoji 😀👩\u200d👩\u200d👧🇪🇸 and 漢字 and عربى",
        "[PAD] [UNK] [BOS] [EOS] <0x41> \u2581 \u0120",
        "\0 \x1b \u200b \ufffd",
        "",
    ],
)
def test_decoding_gives_the_text_back(tokenizer, text):
    assert there_and_back(tokenizer, text) == text


def test_any_characters_come_back_normalized(tokenizer):
    letters = random.Random(1)
    for _ in range(300):
        points = [letters.choice((0x80, 0x250, 0x3000, 0x20000)) for _ in range(letters.randrange(1, 30))]
        text = "".join(chr(letters.randrange(limit)) for limit in points)
        normalized = tokenizer.normalize(text)
        assert there_and_back(tokenizer, text) == normalized == tokenizer.normalize(normalized)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("  two \t\n words\u00a0\u3000here ", "two words here"),
        ("e\u0301 \ufb01n \uff21\u2026 x\u00b2", "é fin A... x2"),
        ("caf\udce9", "caf?"),
        ("I'm HERE", "I'm HERE"),
    ],
)
def test_what_is_normalized(tokenizer, text, expected):
    assert tokenizer.normalize(text) == there_and_back(tokenizer, text) == expected


def test_special_ids(tokenizer):
    assert tokenizer.vocabulary[:4] == ["[PAD]", "[UNK]", "[BOS]", "[EOS]"]
    assert (tokenizer.PAD_ID, tokenizer.UNKNOWN_ID, tokenizer.BEGIN_ID, tokenizer.END_ID) == (0, 1, 2, 3)
    assert min(tokenizer.encode(["[BOS] a [EOS][PAD] \U0010ffff"], 99)[0]) > 3


def test_decoding_stops_at_the_end_and_leaves_out_special_tokens(tokenizer):
    ids = tokenizer.encode(["¿Qué tal"], 20)[0].tolist()
    assert tokenizer.decode([2, *ids, 3, *ids, 0, 0]) == "¿Qué tal"
    assert tokenizer.decode([1, *ids, 0, 0]) == "¿Qué tal"
    assert tokenizer.decode([]) == tokenizer.decode([3]) == ""


def test_decoding_half_a_character_does_not_crash(tokenizer):
    ids = tokenizer.encode(["漢"], 10)[0]
    assert len(ids) == 4 and tokenizer.decode(ids[:2]) == "\ufffd"


@pytest.mark.parametrize("ids", [[-1], [4, 1_000_000]])
def test_ids_that_are_not_in_the_vocabulary(tokenizer, ids):
    with pytest.raises(ValueError, match="`ids` must lie in 0 ... "):
        tokenizer.decode(ids)


@pytest.mark.parametrize("text", ["", "   \n\t", "\u3000"])
def test_nothing_becomes_one_unknown(tokenizer, text):
    assert tokenizer.encode([text], 5)[0].tolist() == [tokenizer.UNKNOWN_ID]


def test_ids_are_int32_and_cut(tokenizer):
    whole, other = tokenizer.encode([TEXTS[0], TEXTS[1]], 100)
    assert whole.dtype == other.dtype == np.int32
    np.testing.assert_array_equal(tokenizer.encode([TEXTS[0]], 4)[0], whole[:4])


@pytest.mark.parametrize("text", ["don't go " * 50_000, "x" * 300_000, "¡" * 300_000])
def test_a_very_long_text_is_encoded_at_once(tokenizer, text):
    start = time.perf_counter()
    assert len(tokenizer.encode([text], 100)[0]) == 100
    assert time.perf_counter() - start < 2.0


def test_cutting_a_long_text_first_changes_nothing(tokenizer):
    text = " ".join(TEXTS * 10)
    np.testing.assert_array_equal(tokenizer.encode([text], 50)[0], tokenizer.encode([text[:900]], 50)[0])


def test_both_languages_share_a_vocabulary_that_fits(tokenizer):
    data = generate_translation()
    learned = SubwordTokenizer.train(data.train.sources + data.train.targets, vocabulary_size=300)
    assert learned.vocabulary_size == 300 == len(set(learned.vocabulary))
    sides = [np.unique(np.concatenate(learned.encode(side, 99))) for side in (data.train.sources, data.train.targets)]
    assert np.intersect1d(*sides).size
    texts = data.test.sources + data.test.targets
    assert [learned.decode(ids) for ids in learned.encode(texts, 99)] == texts


def test_save_and_load(tokenizer, tmp_path):
    path = tmp_path / "subwords.json"
    tokenizer.save(path)
    assert list(tmp_path.iterdir()) == [path]
    for loaded in (SubwordTokenizer.load(path), SubwordTokenizer.loads(path.read_bytes())):
        assert loaded.vocabulary == tokenizer.vocabulary
        for ours, theirs in zip(tokenizer.encode(TEXTS, 9), loaded.encode(TEXTS, 9), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert there_and_back(loaded, "[EOS] ¡sí!") == "[EOS] ¡sí!"


def test_what_is_no_subword_tokenizer(tmp_path):
    path = tmp_path / "words.json"
    with pytest.raises(UserError, match="words.json cannot be read"):
        SubwordTokenizer.load(path)
    Tokenizer.train(TEXTS).save(path)
    with pytest.raises(UserError, match=r"words.json is not a tokenizer that tfpar saved: .*\[BOS\]=2"):
        SubwordTokenizer.load(path)
    with pytest.raises(UserError, match="the content is not a tokenizer"):
        SubwordTokenizer.loads("{}")


@pytest.mark.parametrize("old, new", [(r'"\\s+"', '""'), (":259,", ":9999,"), ('"merges":[["', '"merges":[["zz')])
def test_a_damaged_tokenizer_is_refused_before_it_meets_a_text(tokenizer, tmp_path, old, new):
    """Else the backend would panic, or make ids that no embedding has."""
    tokenizer.save(tmp_path / "tokenizer.json")
    content = "".join(line.strip() for line in (tmp_path / "tokenizer.json").read_text().splitlines())
    assert old in content
    with pytest.raises(UserError, match="is not a tokenizer that tfpar saved"):
        SubwordTokenizer.loads(content.replace(old, new, 1))


def test_the_vocabulary_is_the_same_in_every_process_and_order():
    program = "import sys; from tfpar.tasks.translation import SubwordTokenizer, generate_translation\n"
    program += "train = generate_translation(train=500).train; texts = train.sources + train.targets\n"
    program += "print(ascii(SubwordTokenizer.train(texts[:: int(sys.argv[1])], vocabulary_size=600).vocabulary))"
    outputs = {
        subprocess.run([sys.executable, "-c", program, step], capture_output=True, text=True, check=True).stdout
        for step in ("1", "1", "-1")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(vocabulary_size=259), "`vocabulary_size` must be 260 or more, of which 256 are bytes; got 259"),
        (dict(min_frequency=0), "`min_frequency` must be 1 or more"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        SubwordTokenizer.train(TEXTS, **options)


@pytest.mark.parametrize("texts", [[], ["", " "], ["ab"]])
def test_nothing_to_learn(texts):
    with pytest.raises(UserError, match="no two neighbors that occur 2 times"):
        SubwordTokenizer.train(texts)


def test_wrong_calls(tokenizer):
    with pytest.raises(ValueError, match="`max_tokens` must be 1 or more"):
        tokenizer.encode(["a"], 0)
    with pytest.raises(TypeError, match="put it into a list"):
        tokenizer.encode("one string", 5)
    with pytest.raises(TypeError, match="got bytes"):
        SubwordTokenizer.train([b"bytes"])


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for call in (lambda: SubwordTokenizer.train(TEXTS), lambda: SubwordTokenizer.loads("{}")):
        with pytest.raises(MissingExtraError, match=r"pip install 'tfpar\[recipes\]'"):
            call()
