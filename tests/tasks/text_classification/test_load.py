"""Text data: dataset specs, and sets of TensorFlow Datasets."""

import sys

import numpy as np
import pytest

from tfpar.data.readers.splits import cut_missing
from tfpar.errors import MissingExtraError, UserError
from tfpar.tasks.text_classification import load_text_classification


@pytest.mark.parametrize(
    "spec, words",
    [
        ("imdb", "unknown dataset 'imdb'; expected rotten_tomatoes, tfds:NAME"),
        ("", "unknown dataset ''"),
        ("rotten_tomatos", "did you mean 'rotten_tomatoes'"),
        ("cvs:a.csv", "did you mean 'csv'"),
        ("http://example.org/a.csv", "unknown dataset"),
        ("csv:", "nothing after the colon"),
        ("tfds:", "nothing after the colon"),
        ("rotten_tomatoes:x", "unknown dataset"),
        ("folder:/tmp", "is not for texts"),
    ],
)
def test_specs_that_are_refused(spec, words):
    with pytest.raises(UserError, match=words):
        load_text_classification(spec)


def test_paths_that_are_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_text_classification(f"csv:{tmp_path / 'nothing.csv'}")
    with pytest.raises(UserError, match="cannot be read: it is a directory; expected a regular file"):
        load_text_classification(f"tsv:{tmp_path}")


def test_a_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"text {n},{n % 2}\n" for n in range(6)))
    assert load_text_classification("csv:~/a.csv").class_names == ("0", "1")


def test_cutting_keeps_equal_texts_together_even_with_two_labels():
    texts = ["same", "same", *(f"text {n}" for n in range(20))]
    labels = [0, 1, *(n % 2 for n in range(20))]
    splits, missing = cut_missing(texts, labels, ["train"] * 22)
    assert missing == ("test", "validation")
    assert splits[0] == splits[1]
    assert {"train", "validation", "test"} == set(splits)


def test_cutting_leaves_given_splits_alone():
    splits, missing = cut_missing(["a", "b", "c"], [0, 0, 0], ["train", "validation", "test"])
    assert (splits, missing) == (["train", "validation", "test"], ())
    splits, _ = cut_missing(["a"], [0], ["train"])
    assert splits == ["train"], "the last example of a class stays in train"


def examples(count: int, first: int = 0, **keys) -> list[dict]:
    names = {"text": "text", "label": "label"} | keys
    return [{names["text"]: f"text {n}", names["label"]: n % 2} for n in range(first, first + count)]


def test_a_set_with_supervised_keys_and_unlabeled_rows(tfds, make_set, tmp_path, capsys):
    rows = {"train": examples(20), "test": examples(4, 20), "unsupervised": [{"text": "loose", "label": -1}]}
    rows["train"] += [{"text": "  ", "label": 0}, {"text": "no label", "label": -1}]
    features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(names=["yes", "no"])}
    make_set("TinyReviews", features, rows, ("text", "label"))
    data = load_text_classification("tfds:tiny_reviews", cache_dir=tmp_path)
    assert data.class_names == ("yes", "no"), "a set keeps its own order"
    assert set(data.test.texts) == {f"text {n}" for n in range(20, 24)}
    assert (len(data.train), len(data.validation)) == (18, 2)
    assert data.unlabeled == ("loose",)
    assert data.skipped == {"empty text": 1, "no label": 1}
    assert data.split_rule.startswith("as published in TFDS set tiny_reviews/1.0.0; validation cut from train")
    assert "Me, 2020" in data.notice
    assert capsys.readouterr().out == "", "stdout belongs to results"


def test_a_set_without_supervised_keys_and_with_number_labels(tfds, make_set, tmp_path):
    rows = {"train": [row | {"share": 0.5} for row in examples(20, text="body", label="stars")]}
    rows["train"] = [row | {"stars": row["stars"] * 4 + 1} for row in rows["train"]]
    features = {
        "body": tfds.features.Text(),
        "stars": tfds.features.Scalar(np.int32),
        "share": tfds.features.Scalar(np.float32),
    }
    make_set("TinyStars", features, rows)
    data = load_text_classification("tfds:tiny_stars", cache_dir=tmp_path)
    assert data.class_names == ("1", "5")
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 2, 2)


def test_a_set_with_two_texts_is_refused(tfds, make_set, tmp_path):
    features = {"a": tfds.features.Text(), "b": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}
    make_set("TinyPairs", features, {"train": [{"a": "x", "b": "y", "label": 0}]})
    with pytest.raises(UserError, match=r"tfds:tiny_pairs is not a text classification set.*\['a', 'b'\]"):
        load_text_classification("tfds:tiny_pairs", cache_dir=tmp_path)


def test_a_set_without_train_is_refused(tfds, make_set, tmp_path):
    features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}
    make_set("TinyTest", features, {"test": examples(4)})
    with pytest.raises(UserError, match="no split 'train'; its splits are test"):
        load_text_classification("tfds:tiny_test", cache_dir=tmp_path)


def test_a_set_that_nobody_knows(tfds, tmp_path):
    with pytest.raises(UserError, match="tfds:no_such_set_at_all is not a set"):
        load_text_classification("tfds:no_such_set_at_all", cache_dir=tmp_path)


def test_a_set_that_cannot_be_prepared(tfds, make_set, tmp_path):
    builder = make_set("TinyBroken", {"text": tfds.features.Text()}, {})

    def fail(self, manager):
        raise OSError("the server is away")

    builder._split_generators = fail
    with pytest.raises(UserError, match="could not be prepared in .*OSError: the server is away. Check the network"):
        load_text_classification("tfds:tiny_broken", cache_dir=tmp_path)


def test_prepared_data_that_are_damaged_say_so(tfds, make_set, tmp_path):
    features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}
    make_set("TinyDamaged", features, {"train": examples(20)})
    load_text_classification("tfds:tiny_damaged", cache_dir=tmp_path)
    (shard,) = tmp_path.rglob("*.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(UserError, match="tiny_damaged.* are damaged; remove that directory"):
        load_text_classification("tfds:tiny_damaged", cache_dir=tmp_path)


def test_a_set_that_needs_another_package_names_it(tfds, make_set, tmp_path):
    def fail(self, manager):
        raise ModuleNotFoundError("No module named 'readers'", name="readers")

    make_set("TinyNeedy", {"text": tfds.features.Text()}, {})._split_generators = fail
    with pytest.raises(UserError, match="tfds:tiny_needy needs the package readers; run: pip install readers"):
        load_text_classification("tfds:tiny_needy", cache_dir=tmp_path)


def test_tensorflow_datasets_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(MissingExtraError, match="tensorflow-datasets is not installed"):
        load_text_classification("rotten_tomatoes")
