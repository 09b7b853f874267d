"""One's own translations: files as people really make them, and sets of TensorFlow Datasets."""

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.tasks.translation import generate_translation, load_translation
from tfpar.tasks.translation.splits import source_key

ROWS = [(f"sentence {n}", f"frase número {n}") for n in range(40)]


def csv_lines(rows, header="source,target") -> str:
    return header + "\n" + "".join(",".join(row) + "\n" for row in rows)


@pytest.fixture
def load(tmp_path):
    """Writes bytes or text into a file and loads it."""

    def write_and_load(content: str | bytes, kind: str = "csv", **options):
        path = tmp_path / f"data.{kind}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_translation(f"{kind}:{path}", **options)

    return write_and_load


def pairs(split) -> list[tuple[str, str]]:
    return list(zip(split.sources, split.targets, strict=True))


def all_pairs(data) -> set[tuple[str, str]]:
    return {*pairs(data.train), *pairs(data.validation), *pairs(data.test)}


@pytest.mark.parametrize(
    "spec, words",
    [
        ("spanish", "unknown dataset 'spanish'; expected tatoeba_spanish, tfds:NAME"),
        ("rotten_tomatoes", "unknown dataset"),
        ("tsv:", "nothing after the colon"),
        ("folder:/tmp", "is not for translations"),
        ("csv:/no/such/file.csv", "/no/such/file.csv does not exist"),
    ],
)
def test_specs_that_are_refused(spec, words):
    with pytest.raises(UserError, match=words):
        load_translation(spec)


def test_a_plain_file(load, tmp_path):
    data = load(csv_lines(ROWS))
    assert data.name == f"csv:{tmp_path / 'data.csv'}" and "license" in data.notice
    assert all_pairs(data) == set(ROWS)
    assert (len(data.train), len(data.validation), len(data.test)) == (34, 2, 4)
    assert data.skipped == {} and "md5" in data.split_rule


def test_no_source_is_in_two_splits(load):
    rows = ROWS + [(source.upper() + "!", target + "!") for source, target in ROWS]
    data = load(csv_lines(rows))
    keys = [{source_key(text) for text in split.sources} for split in (data.train, data.validation, data.test)]
    assert len(set.union(*keys)) == sum(map(len, keys)) == 40
    assert data.skipped == {"further translation of a held-out source": 6}


def test_columns_by_number_and_swapped(load):
    lines = "".join(f"x\t{target}\t{source}\n" for source, target in ROWS)
    assert all_pairs(load(lines, "tsv", source_column="2", target_column="1")) == set(ROWS)
    assert all_pairs(load(lines, "tsv", source_column="1", target_column="2")) == {pair[::-1] for pair in ROWS}


def test_bad_rows_are_counted(load):
    bad = ["only one side", ",no source", "no target,  ", f"{'so ' * 51},long", f"long,{'so ' * 51}", "a,b,c", ""]
    data = load(csv_lines(ROWS + ROWS[:3]) + "\n".join(bad) + "\n")
    assert all_pairs(data) == set(ROWS)
    assert data.skipped == {
        "duplicate pair": 3,
        "empty source": 1,
        "empty target": 1,
        "more than 50 words": 2,
        "wrong number of fields": 2,
    }


def test_the_limit_of_words(load):
    data = load(csv_lines([*ROWS, ("a b c", "a")]), max_words=3)
    assert all_pairs(data) == {*ROWS, ("a b c", "a")}
    assert load(csv_lines([*ROWS, ("a b c d", "a")]), max_words=3).skipped == {"more than 3 words": 1}
    with pytest.raises(UserError, match="max_words must be 1 or more; got 0"):
        load(csv_lines(ROWS), max_words=0)


def test_odd_characters_stay_and_nul_goes(load):
    data = load(csv_lines([*ROWS, (" a\0b ", "¿Sí? 😀")]))
    assert ("a b", "¿Sí? 😀") in all_pairs(data)


def test_a_given_split_is_honored(load):
    rows = [(*pair, split) for pair, split in zip(ROWS, ["train"] * 30 + ["dev"] * 4 + ["test"] * 6, strict=True)]
    rows += [("a", "b", "maybe"), ("sentence 0", "frase número 0", "test")]
    data = load(csv_lines(rows, "source,target,split"))
    assert pairs(data.train) == ROWS[:30] and pairs(data.validation) == ROWS[30:34]
    assert pairs(data.test) == [*ROWS[34:], ROWS[0]], "who tests what training shows, is asked to"
    assert data.skipped == {"unknown split": 1}
    assert data.split_rule == "as column 'split' of the file says"


def test_a_split_that_is_missing_is_cut_from_train(load):
    rows = [(*pair, "test" if n < 10 else "train") for n, pair in enumerate(ROWS)]
    data = load(csv_lines(rows, "source,target,part"), split_column="part")
    assert pairs(data.test) == ROWS[:10] and (len(data.validation), len(data.train)) == (1, 29)
    assert data.split_rule.startswith("as column 'part' of the file says; validation cut from train")


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_file_that_is_not_utf8_says_where(load, kind):
    content = csv_lines(ROWS).replace(",", "," if kind == "csv" else "\t").encode()
    content = content.replace("número 4\n".encode(), "número 4\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"data\.... is not UTF-8: line 6 does not decode .*--encoding cp1252"):
        load(content, kind)
    with pytest.raises(UserError, match="looks like UTF-16"):
        load(csv_lines(ROWS).encode("utf-16"), kind)


@pytest.mark.parametrize(
    "content, options, words",
    [
        ("", {}, "has no data rows"),
        ("source,target\n", {}, r"no usable pair among 0 rows \(it is empty\)"),
        ("source,target\n,b\na,\n", {}, r"no usable pair among 2 rows \(empty source: 1, empty target: 1\)"),
        (
            "source,target\na,b\nc,d\n",
            {},
            "cannot cut test and validation out of the training pairs: .*got 2; add pairs",
        ),
        ("source,target,split\na,b,test\n", {}, "no row with the value 'train'"),
        ("en,es\na,b\n", {}, "no column 'source'; found the columns 'en', 'es'. Give --source_column as a name"),
        (
            "en,es\na,b\n",
            dict(source_column="0", target_column="2"),
            "give --source_column and --target_column as",
        ),
        (
            "en,es\na,b\n",
            dict(source_column="en", target_column="en"),
            "--source_column and --target_column must",
        ),
        ("en,es\na,b\n", dict(source_column="en", target_column="es", split_column="part"), "no column 'part'"),
        ('source,target\n"a,b\n', {}, "never closed"),
    ],
)
def test_files_that_are_refused(load, content, options, words):
    with pytest.raises(UserError, match=words):
        load(content, **options)


def rows_of(count: int, first: int = 0, names=("de", "en")) -> list[dict]:
    return [{names[0]: f"Satz {n}", names[1]: f"sentence {n}"} for n in range(first, first + count)]


def test_a_tfds_translation(tfds, make_set, tmp_path):
    rows = {"train": [*rows_of(40), {"de": " ", "en": "x"}, {"de": "so " * 60, "en": "x"}], "test": rows_of(5, 40)}
    make_set("TinySentences", tfds.features.Translation(("de", "en")), rows, ("de", "en"))
    data = load_translation("tfds:tiny_sentences", cache_dir=tmp_path)
    assert set(pairs(data.test)) == {(f"Satz {n}", f"sentence {n}") for n in range(40, 45)}
    assert (len(data.train), len(data.validation)) == (38, 2)
    assert data.skipped == {"empty source": 1, "more than 50 words": 1}
    assert data.split_rule.startswith("as published in TFDS set tiny_sentences/1.0.0; validation cut from train")
    assert "Me, 2020" in data.notice
    swapped = load_translation("tfds:tiny_sentences", source_column="en", target_column="de", cache_dir=tmp_path)
    assert ("sentence 40", "Satz 40") in pairs(swapped.test)


def test_a_tfds_set_with_a_translation_among_its_features(tfds, make_set, tmp_path):
    features = {"id": tfds.features.Scalar(np.int32), "translation": tfds.features.Translation(("de", "en"))}
    rows = [{"id": n, "translation": row} for n, row in enumerate(rows_of(40))]
    make_set("TinyNested", features, {"train": rows})
    data = load_translation("tfds:tiny_nested", cache_dir=tmp_path)
    assert all_pairs(data) == {(f"Satz {n}", f"sentence {n}") for n in range(40)}


def test_a_tfds_set_with_two_texts_and_one_with_three(tfds, make_set, tmp_path):
    text = tfds.features.Text()
    make_set("TinyTwo", {"ask": text, "say": text}, {"train": rows_of(40, names=("ask", "say"))})
    assert ("Satz 1", "sentence 1") in all_pairs(load_translation("tfds:tiny_two", cache_dir=tmp_path))
    rows = [row | {"title": "t"} for row in rows_of(40)]
    make_set("TinyThree", {"de": text, "en": text, "title": text}, {"train": rows})
    with pytest.raises(UserError, match="--source_column and --target_column must be two of its texts"):
        load_translation("tfds:tiny_three", cache_dir=tmp_path)
    data = load_translation("tfds:tiny_three", source_column="en", target_column="de", cache_dir=tmp_path)
    assert ("sentence 1", "Satz 1") in all_pairs(data)


def test_a_tfds_set_without_texts_is_refused(tfds, make_set, tmp_path):
    make_set("TinyNumbers", {"n": tfds.features.Scalar(np.int32)}, {"train": [{"n": 1}]})
    with pytest.raises(UserError, match="which are none; got none"):
        load_translation("tfds:tiny_numbers", cache_dir=tmp_path)


def test_the_generated_set_is_the_same_for_a_seed_and_leaks_nothing():
    one, same, other = generate_translation(3), generate_translation(3), generate_translation(4)
    assert pairs(one.train) == pairs(same.train) != pairs(other.train)
    assert (len(one.train), len(one.validation), len(one.test)) == (64, 16, 16)
    assert len(all_pairs(one)) == 96 and len({source for source, _ in all_pairs(one)}) == 96
    with pytest.raises(ValueError, match="at most 9999; got 9990, 16"):
        generate_translation(train=9990)
