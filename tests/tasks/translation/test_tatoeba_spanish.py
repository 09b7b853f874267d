"""The bundled English-Spanish pairs: parsing, the TFDS set, and the facts of the real file."""

import hashlib

import pytest

from tfpar.errors import UserError
from tfpar.tasks.translation import load_translation
from tfpar.tasks.translation.tatoeba_spanish.parse import Pair, split_pairs

CREDIT = "CC-BY 2.0 (France) Attribution: tatoeba.org #1 (A) & #2 (B)"
LONG = " ".join(["so"] * 21)


def tiny_file() -> list[str]:
    """Forty sentences with two translations each, a line that is too long and one without a translation."""
    lines = [f"Sentence {n}.\tFrase {n}{mark}\t{CREDIT}\n" for n in range(40) for mark in ".!"]
    return [*lines, f"{LONG}\tbreve\t{CREDIT}\n", f"short\t{LONG}\t{CREDIT}\n", "Alone.\n"]


def test_lines_are_sorted_into_splits_and_counted():
    splits, skipped = split_pairs(tiny_file())
    assert {split: len(pairs) for split, pairs in splits.items()} == {"test": 4, "validation": 2, "train": 68}
    assert skipped == {
        "more than 20 words": 2,
        "wrong number of fields": 1,
        "further translation of a held-out source": 6,
    }
    assert all(pair.spanish.endswith(".") for pair in splits["test"] + splits["validation"]), "the first translation"
    assert Pair("Sentence 1.", "Frase 1!", CREDIT) in splits["train"]


def test_twenty_words_are_not_too_long():
    line = f"{LONG[3:]}\t{LONG[3:]}\t{CREDIT}\n"
    assert split_pairs([*tiny_file(), line])[1]["more than 20 words"] == 2


@pytest.fixture
def tiny_wheel(tmp_path, monkeypatch):
    """Puts the tiny file in place of the published one."""
    from tfpar.data.readers import wheel_builder

    source = tmp_path / "spa.tsv"
    source.write_text("".join(tiny_file()), encoding="utf-8")
    monkeypatch.setattr(wheel_builder, "fetch", lambda pinned, cache_dir: source)
    return source


def test_the_builder_makes_a_tfds_set_of_it(tiny_wheel, tmp_path):
    data = load_translation(cache_dir=tmp_path)
    splits, skipped = split_pairs(tiny_file())
    for split, pairs in splits.items():
        assert getattr(data, split).sources == [pair.english for pair in pairs], "in the same order"
        assert getattr(data, split).targets == [pair.spanish for pair in pairs]
    assert data.skipped == skipped
    assert data.name == "tatoeba_spanish" and "md5" in data.split_rule
    assert "CC BY 2.0" in data.notice and "tatoeba.org" in data.notice
    again = load_translation("tfds:tatoeba_spanish", cache_dir=tmp_path)
    assert (again.test.sources, again.skipped) == (data.test.sources, skipped), "read back from the disk"


def test_its_file_gives_the_same_splits_as_a_file_of_ones_own(tiny_wheel, tmp_path):
    bundled = load_translation(cache_dir=tmp_path)
    own = load_translation(f"tsv:{tiny_wheel}", source_column="0", target_column="1", max_words=20)
    for split in ("train", "validation", "test"):
        assert getattr(own, split).sources == getattr(bundled, split).sources
        assert getattr(own, split).targets == getattr(bundled, split).targets
    assert own.skipped == bundled.skipped


def test_its_limit_of_words_is_its_own(tiny_wheel, tmp_path):
    assert len(load_translation(max_words=20, cache_dir=tmp_path).train) == 68
    with pytest.raises(UserError, match="max_words is 20 in the bundled set.*got 30; leave it out"):
        load_translation(max_words=30, cache_dir=tmp_path)


@pytest.mark.network
def test_the_real_file_has_the_published_splits(tmp_path):
    data = load_translation(cache_dir=tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (137_175, 1000, 2000)
    assert data.skipped == {"more than 20 words": 214, "further translation of a held-out source": 479}
    joined = "\n".join(f"{en}\t{es}" for en, es in zip(data.test.sources, data.test.targets, strict=True))
    assert hashlib.md5(joined.encode()).hexdigest() == "373ac48debdcdf0a8634ea5f1165d90f"
