"""Dealing out pairs by their source side."""

import hashlib

import pytest

from tfpar.tasks.translation.splits import source_key, split_by_source

SOURCES = [f"sentence {n // 2}" + "!" * (n % 2) for n in range(80)]  # forty sentences, twice each


@pytest.mark.parametrize(
    "one, other", [("Go on!", "go on"), ("\uff27o.", "Go"), ("It's me", "it s me"), ("a  b", "A b?")]
)
def test_sources_that_count_as_the_same(one, other):
    assert source_key(one) == source_key(other)


def test_sources_that_do_not():
    assert len({source_key(text) for text in ("?!", "...", "cafe", "café", "a b", "ab")}) == 6


def test_whole_sources_are_dealt_out():
    dealt = split_by_source(SOURCES)
    keys = {split: {source_key(SOURCES[row]) for row in rows} for split, rows in dealt.items()}
    assert [len(dealt[split]) for split in ("test", "validation", "train")] == [4, 2, 68]
    assert len(keys["test"] | keys["validation"] | keys["train"]) == 40 == sum(map(len, keys.values()))
    assert dealt["train"] == sorted(dealt["train"])


def test_held_out_sources_are_those_of_the_smallest_md5_with_their_first_row():
    def digest(row):
        return hashlib.md5(f"tatoeba:sentence {row // 2}".encode()).hexdigest()

    ordered = sorted(range(0, 80, 2), key=digest)
    dealt = split_by_source(SOURCES)
    assert dealt["test"] + dealt["validation"] == ordered[:6]


def test_the_split_depends_on_the_texts_alone():
    forward, backward = split_by_source(SOURCES), split_by_source(SOURCES[::-1])
    for split in ("test", "validation"):
        assert [row // 2 for row in forward[split]] == [(79 - row) // 2 for row in backward[split]]


def test_large_sets_hold_out_a_fixed_number():
    dealt = split_by_source([str(n) for n in range(25_000)])
    assert (len(dealt["test"]), len(dealt["validation"]), len(dealt["train"])) == (2000, 1000, 22_000)


def test_only_what_is_missing_is_cut():
    dealt = split_by_source(SOURCES, ["validation"])
    assert {split: len(rows) for split, rows in dealt.items()} == {"validation": 2, "train": 76}


def test_three_sources_are_the_fewest():
    assert sorted(map(len, split_by_source(["a", "b", "c"]).values())) == [1, 1, 1]
    with pytest.raises(ValueError, match="more than 2 distinct sources; got 2"):
        split_by_source(["a", "b", "A!"])
