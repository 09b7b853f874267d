"""csv: and tsv: files as people really make them."""

import csv

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.tasks.text_classification import load_text_classification

GOOD = [("good", f"fine film number {n}") for n in range(20)]
BAD = [("bad", f"poor film number {n}") for n in range(20)]


def csv_lines(rows, header="label,text") -> str:
    return header + "\n" + "".join(f"{label},{text}\n" for label, text in rows)


@pytest.fixture
def load(tmp_path):
    """Writes bytes or text into a file and loads it."""

    def write_and_load(content: str | bytes, kind: str = "csv", **columns):
        path = tmp_path / f"data.{kind}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_text_classification(f"{kind}:{path}", **columns)

    return write_and_load


def all_texts(data) -> set[str]:
    return {*data.train.texts, *data.validation.texts, *data.test.texts}


def labeled(data) -> dict[str, str]:
    """Text -> class name, over all splits."""
    splits = (data.train, data.validation, data.test)
    return {t: data.class_names[n] for split in splits for t, n in zip(split.texts, split.labels, strict=True)}


def test_a_plain_file(load, tmp_path):
    data = load(csv_lines(GOOD + BAD))
    assert data.name == f"csv:{tmp_path / 'data.csv'}"
    assert data.class_names == ("bad", "good")
    assert labeled(data) == {text: label for label, text in GOOD + BAD}
    assert data.train.labels.dtype == np.int32
    assert (len(data.train), len(data.validation), len(data.test)) == (32, 4, 4)
    assert data.skipped == {} and data.unlabeled == ()
    assert "md5" in data.split_rule and "validation" in data.split_rule
    assert not data.notice.endswith("\n")


def test_the_split_depends_on_the_texts_alone(load):
    forward, backward = load(csv_lines(GOOD + BAD)), load(csv_lines((GOOD + BAD)[::-1]))
    for split in ("train", "validation", "test"):
        assert set(getattr(forward, split).texts) == set(getattr(backward, split).texts)


def test_three_examples_a_class_are_enough_for_every_split(load):
    data = load(csv_lines(GOOD[:3] + BAD[:3]))
    for split in (data.train, data.validation, data.test):
        assert sorted(split.labels) == [0, 1]


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_byte_order_marks_and_newlines(load, newline, mark, kind):
    content = csv_lines(GOOD + BAD).replace("\n", newline)
    content = content if kind == "csv" else content.replace(",", "\t")
    assert labeled(load(mark + content.encode(), kind)) == {text: label for label, text in GOOD + BAD}


def test_quoted_newlines_commas_and_quotes(load, tmp_path):
    text = 'He said "no",\nand left'
    path = tmp_path / "quoted.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("label", "text"), ("good", text), *GOOD, *BAD])
    data = load(path.read_bytes())
    assert labeled(data)[text] == "good"
    assert data.skipped == {}


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "UTF-8", "utf-8-sig", "utf-32"])
@pytest.mark.parametrize("kind, delimiter", [("csv", ";"), ("csv", ""), ("csv", r"\t"), ("tsv", "|")])
def test_encodings_and_delimiters(load, encoding, kind, delimiter):
    rows = [(label, f"{text} caf\u00e9") for label, text in GOOD + BAD]
    mark = {"": ",", r"\t": "\t"}.get(delimiter, delimiter)
    content = csv_lines(rows).replace(",", mark).encode(encoding)
    data = load(content, kind, encoding=encoding, delimiter=delimiter)
    assert labeled(data) == {text: label for label, text in rows} and data.skipped == {}


def test_a_mark_before_an_encoding_that_names_the_order_of_bytes(load):
    content = b"\xff\xfe" + csv_lines(GOOD + BAD).encode("utf-16-le")
    assert labeled(load(content, encoding="utf-16-le")) == {text: label for label, text in GOOD + BAD}


@pytest.mark.parametrize(
    "content, kind, words",
    [
        (csv_lines(GOOD + BAD).replace(",", ";"), "csv", "has 1 times ';': give --delimiter ';'"),
        ('"label";"text"\n"good";"fine"\n', "csv", "give --delimiter ';'"),
        (csv_lines(GOOD + BAD).replace(",", "\t"), "csv", r"give --delimiter '\\t'"),
        (csv_lines(GOOD + BAD), "tsv", "give --delimiter ','"),
        (csv_lines(GOOD + BAD).encode("utf-16"), "csv", "looks like UTF-16, .* give --encoding utf-16 "),
        (csv_lines(GOOD + BAD).encode("utf-16-be"), "csv", "give --encoding utf-16-be "),
        (csv_lines(GOOD + BAD).encode("utf-32"), "csv", "give --encoding utf-32 "),
        (
            csv_lines([(a, b + "\u00e9") for a, b in GOOD]).encode("cp1252"),
            "csv",
            "such as --encoding cp1252 for Western",
        ),
        (csv_lines([("bad", f"{n} \u00e9") for n in range(6)] + GOOD).encode("cp1252"), "csv", "6 of 26 rows do not"),
    ],
)
def test_hints(load, content, kind, words):
    refused(load, words, content, kind)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(encoding="utf-99"), "--encoding must be an encoding that Python knows.*got 'utf-99'"),
        (dict(encoding="base64"), "--encoding must be an encoding"),
        (dict(encoding="cp1252"), "is not CP1252: it looks like UTF-8.*give --encoding utf-8"),
        (dict(encoding="ascii"), "looks like UTF-8"),
        (dict(delimiter=";;"), "--delimiter must be one character"),
        (dict(delimiter='"'), "--delimiter must be one character"),
    ],
)
def test_options_that_are_refused(load, options, words):
    refused(load, words, b"\xef\xbb\xbf" + csv_lines(GOOD + BAD).encode(), **options)


def test_text_that_does_not_decode_as_it_was_said(load):
    refused(load, "is not ascii: it does not decode", csv_lines([("good", "caf\u00e9")]), encoding="ascii")
    with pytest.raises(UserError, match="--delimiter is for csv: and tsv: alone; got dataset 'rotten_tomatoes'"):
        load_text_classification("rotten_tomatoes", delimiter=";")


def test_a_group_column_keeps_authors_together(load):
    rows = [f"{label},{text},author {n // 4}\n" for n, (label, text) in enumerate(GOOD + BAD)]
    content = "label,text,author\n" + "".join(rows)
    data = load(content, group_column="author")
    author = {text: n // 4 for n, (_, text) in enumerate(GOOD + BAD)}
    parts = [{author[text] for text in split.texts} for split in (data.train, data.validation, data.test)]
    assert list(map(len, parts)) == [6, 2, 2] and len(set().union(*parts)) == 10
    assert "by groups (the group column)" in data.split_rule
    refused(load, "no column 'writer'", content, group_column="writer")
    one = "label,text,author\n" + "".join(f"{label},{text},me\n" for label, text in GOOD + BAD)
    refused(load, "there is nothing for test and validation.*there are 1 groups", one, group_column="author")
    given = one.replace("author\n", "author,split\n").replace("me\n", "me,train\n").replace("me,train", "me,test", 1)
    refused(load, "group 'me' is in test and in train", given, group_column="author")


def test_tsv_takes_quotes_as_they_are(load):
    rows = [("good", '"never closed'), ("good", 'a "b" c'), *GOOD, *BAD]
    data = load(csv_lines(rows).replace(",", "\t"), "tsv")
    assert {'"never closed', 'a "b" c'} <= all_texts(data)


def test_nul_bytes_become_spaces(load):
    data = load(
        csv_lines([("good", "a\0b"), ("ba\0d", "c"), ("bad\0", "d"), *GOOD, *BAD, *[("ba d", f"{n}") for n in "xyz"]])
    )
    assert labeled(data)["a b"] == "good"
    assert data.class_names == ("ba d", "bad", "good")


def test_a_text_of_100000_words(load):
    text = "word " * 99_999 + "end"
    assert text in all_texts(load(csv_lines([("good", text), *GOOD, *BAD])))
    assert csv.field_size_limit() == 131072, "a limit of the whole process must be put back"


def test_bad_rows_are_skipped_and_counted_by_reason(load):
    content = csv_lines(GOOD + BAD).encode()
    content += b"good,caf\xe9\n" + b"good,  \n" + b" ,text without a label\n" + b"good,one,two\n" + b"alone\n"
    content += b"good,fine film number 1\n" + b"bad,fine film number 2\n" + b'good,"closed" badly\n' + b"\n\r\n"
    data = load(content)
    assert data.skipped == {
        "invalid UTF-8; another encoding is named by --encoding": 1,
        "empty text": 1,
        "empty label": 1,
        "wrong number of fields": 2,
        "duplicate text": 1,
        "duplicate text with another label": 1,
        "malformed quoting": 1,
    }
    assert labeled(data) == {text: label for label, text in GOOD + BAD}


def test_a_bad_byte_in_tsv_costs_one_row(load):
    data = load(csv_lines(GOOD + BAD).replace(",", "\t").encode() + b"good\tcaf\xe9\ngood\tcaf\xc3\xa9\n", "tsv")
    assert data.skipped == {"invalid UTF-8; another encoding is named by --encoding": 1}
    assert "caf\u00e9" in all_texts(data)


def test_column_numbers_mean_no_header(load):
    data = load(csv_lines(GOOD + BAD).split("\n", 1)[1], label_column="0", text_column="1")
    assert labeled(data) == {text: label for label, text in GOOD + BAD}


def test_names_and_numbers_may_be_mixed(load):
    data = load(csv_lines(GOOD + BAD, header="kind,body"), label_column="kind", text_column="1")
    assert len(all_texts(data)) == 40


def test_number_labels_keep_their_text_and_are_sorted_by_value(load):
    rows = [(label, f"text {label} {n}") for label in ("10", "9", "-1") for n in range(3)]
    assert load(csv_lines(rows)).class_names == ("-1", "9", "10")


def with_split(rows, split) -> list[str]:
    return [f"{label},{text},{split}\n" for label, text in rows]


def test_a_split_column_is_honored(load):
    lines = with_split(GOOD[:10] + BAD[:10], "Train") + with_split(GOOD[10:15] + BAD[10:15], "dev")
    lines += with_split(GOOD[15:] + BAD[15:], "test") + [
        ",no label here,unlabelled\n",
        ",fine film number 19,unlabelled\n",
    ]
    lines += ["good,where to,nowhere\n"]
    data = load("label,text,split\n" + "".join(lines))
    assert set(data.train.texts) == {text for _, text in GOOD[:10] + BAD[:10]}
    assert set(data.validation.texts) == {text for _, text in GOOD[10:15] + BAD[10:15]}
    assert set(data.test.texts) == {text for _, text in GOOD[15:] + BAD[15:]}
    assert data.unlabeled == ("no label here",), "a test text must not come back without its label"
    assert data.skipped == {"unknown split": 1, "duplicate text": 1}
    assert data.split_rule == "as column 'split' of the file says"


def test_a_split_that_the_column_lacks_is_cut_from_train(load):
    lines = with_split(GOOD[:10] + BAD[:10], "train") + with_split(GOOD[10:] + BAD[10:], "test")
    data = load("label,text,part\n" + "".join(lines), split_column="part")
    assert set(data.test.texts) == {text for _, text in GOOD[10:] + BAD[10:]}
    assert (len(data.train), len(data.validation)) == (18, 2)
    assert data.split_rule.startswith("as column 'part' of the file says; validation cut from train")


def refused(load, words: str, *args, **kwargs):
    with pytest.raises(UserError, match=words) as raised:
        load(*args, **kwargs)
    assert "\n" not in str(raised.value)
    str(raised.value).encode()  # must be printable


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "has no data rows"),
        ("\n\n", "has no data rows"),
        ("label,text\n", "has no data rows below its header"),
        ("label,text\n,\n", r"no usable row among 1 \(empty text: 1\)"),
        ("text,text,label\na,b,c\n", "--text_column 'text' is the name of 2 columns"),
        ("sentiment,review\ngood,fine\n", "no column 'text'; found the columns 'sentiment', 'review'"),
        (b"\xff\xfe" + csv_lines(GOOD).encode("utf-16-le"), "not UTF-8: it looks like UTF-16"),
        (csv_lines(GOOD + BAD).encode("utf-16-le"), "not UTF-8: it looks like UTF-16"),
        (csv_lines([(a, b + "\u00e9") for a, b in GOOD + BAD]).encode("latin1"), "not UTF-8: 40 of 40 rows"),
        (csv_lines(GOOD), "at least two classes, got one: 'good'"),
        (csv_lines(GOOD + BAD[:2] * 5), "at least 3 distinct examples; got 2 of 'bad'"),
        (csv_lines(GOOD) + 'bad,"never closed\n' + csv_lines(BAD), "a quote that opens in or after line 22 is never"),
        (b"caf\xe9,label\n" * 9, "no column 'text'"),
    ],
)
def test_files_that_are_refused(load, content, words):
    refused(load, words, content)


@pytest.mark.parametrize(
    "columns, words",
    [
        (dict(text_column="body"), "Give --text_column as a name in the header"),
        (dict(text_column="7"), "no column '7'; found the columns 'label', 'text'"),
        (dict(text_column="0", label_column="2"), "no column '2'; found 2 columns without a header"),
        (dict(text_column="1", label_column="1"), "must differ"),
        (dict(split_column="part"), "no column 'part'.*Give --split_column"),
        (dict(text_column="1", label_column="0"), "got 1 of 'label'.*if it has one, give the columns by name"),
    ],
)
def test_columns_that_are_refused(load, columns, words):
    refused(load, words, csv_lines(GOOD + BAD), **columns)


def test_many_rare_classes_are_not_all_listed(load):
    refused(load, "and 25 more such classes", csv_lines([(f"label {n}", f"text {n}") for n in range(30)]))


def test_a_split_column_without_training_rows(load):
    refused(load, "no row with the value 'train'", "label,text,split\n" + "".join(with_split(GOOD + BAD, "test")))


def test_a_class_that_training_never_shows(load):
    lines = with_split(GOOD, "train") + with_split(BAD, "test")
    refused(load, "must show every class; got 0 of 'bad'", "label,text,split\n" + "".join(lines))
