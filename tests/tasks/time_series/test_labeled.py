"""Labeled series from files: shapes, splits, label kinds, and what is refused."""

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.tasks.time_series.load_labeled import load_labeled_series


def load(tmp_path, name, text, **options):
    path = tmp_path / name
    path.write_text(text)
    return load_labeled_series(f"{path.suffix[1:]}:{path}", **options)


ROWS = "".join(f"{n % 2}\t{n}\t{n + 1}\t{'' if n % 3 else n + 2}\n" for n in range(20))


def test_a_file_of_the_ucr_archive(tmp_path):
    (tmp_path / "A_TEST.tsv").write_text(ROWS)
    data = load(tmp_path, "A_TRAIN.tsv", ROWS)
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 0, 20)
    assert data.class_names == ("0", "1") and data.steps == 3 and data.has_indicators
    assert list(data.train.lengths[:4]) == [3, 2, 2, 3]
    assert data.split_rule == "as the files A_TRAIN.tsv and A_TEST.tsv"


def test_a_test_split_is_cut_by_series(tmp_path):
    data = load(tmp_path, "a.tsv", ROWS)
    assert (len(data.train), len(data.test)) == (18, 2) and "cut from train" in data.split_rule
    again = load(tmp_path, "b.tsv", ROWS)
    np.testing.assert_array_equal(data.test.values, again.test.values)


def test_a_table_with_a_row_for_each_step(tmp_path):
    text = "id,x,y,label,split\n" + "".join(
        f"{series},{step},{-step},{'ab'[series % 2]},{'test' if series > 3 else 'train'}\n"
        for step in range(4)
        for series in range(6)
    )
    data = load(tmp_path, "a.csv", text, id_column="id", channels=("x", "y"))
    assert (len(data.train), len(data.test)) == (4, 2) and data.channels == ("x", "y")
    np.testing.assert_array_equal(data.train.values[:4], [[0, 0], [1, -1], [2, -2], [3, -3]])
    assert not data.has_indicators


def test_rows_are_sorted_by_time(tmp_path):
    text = "id,t,x,label,split\n" + "".join(
        f"{series},2024-01-0{9 - step},{step + series},{series % 2},{'test' if series > 3 else 'train'}\n"
        for step in range(3)
        for series in range(6)
    )
    options = dict(id_column="id", channels=("x",), time_column="t")
    ordered = load(tmp_path, "a.csv", text, **options)
    given = load(tmp_path, "a.csv", text, **options | {"time_column": ""})
    one, two = (np.concatenate([data.train.values, data.test.values]) for data in (ordered, given))
    np.testing.assert_array_equal(one.reshape(6, 3), two.reshape(6, 3)[:, ::-1])
    with pytest.raises(UserError, match="a time occurs twice in series '0'"):
        load(tmp_path, "a.csv", text + "0,2024-01-09,5,0,train\n", **options)
    with pytest.raises(UserError, match="--time_column needs --id_column"):
        load(tmp_path, "a.csv", text, time_column="t")


def test_chosen_columns_are_the_steps(tmp_path):
    text = "subject,b,a,label\n" + "".join(f"7,{n},{-n},{n % 2}\n" for n in range(12))
    data = load(tmp_path, "a.csv", text, channels=("a", "b"))
    assert data.steps == 2 and (data.train.values[::2] == -data.train.values[1::2]).all() and data.train.values[2] < 0


def test_labels_of_arrays(tmp_path):
    x = np.arange(24.0).reshape(8, 3)
    for labels in ([b"a", b"b"] * 4, [1.0, 2.0] * 4):
        np.savez(tmp_path / "a.npz", x=x, y=labels)
        names = load_labeled_series(f"npz:{tmp_path}/a.npz").class_names
        assert names == (("a", "b") if labels[0] == b"a" else ("1", "2"))


def test_arrays(tmp_path):
    x = np.arange(24.0).reshape(4, 3, 2)
    x[0, 2] = np.nan
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1, 0, 1], split=["train", "train", "test", "test"])
    data = load_labeled_series(f"npz:{tmp_path}/a.npz")
    assert list(data.train.lengths) == [2, 3] and data.train.values.shape == (5, 2)


def test_label_kinds(tmp_path):
    text = "label,1,2\n" + "".join(f"{('a', 'b', 'a;b')[n % 3]},{n},{n}\n" for n in range(12))
    data = load(tmp_path, "a.csv", text, label_kind="multi_label")
    assert data.class_names == ("a", "b") and set(map(tuple, data.train.targets)) == {(1, 0), (0, 1), (1, 1)}
    numbers = load(tmp_path, "b.csv", "label,1\n" + "".join(f"{n / 2},{n}\n" for n in range(12)), label_kind="number")
    assert numbers.train.targets.shape == (11, 1) and numbers.class_names == ()


def test_damaged_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3)), y=np.array([0, 1]))
    whole = (tmp_path / "a.npz").read_bytes()
    damaged = {"half": whole[: len(whole) // 2], "empty": b"", "header": whole.replace(b"NUMPY", b"NUMPX")}
    for name, content in damaged.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(UserError, match="must be an npz file with the arrays x and y") as refusal:
            load_labeled_series(f"npz:{tmp_path}/{name}.npz")
        assert "damaged" in str(refusal.value) or "CRC" in str(refusal.value)
    np.savez(tmp_path / "objects.npz", x=np.ones((2, 3)), y=np.array(["a", 1], object))
    with pytest.raises(UserError, match=r"the array y has objects of Python; .* y.astype\(str\)"):
        load_labeled_series(f"npz:{tmp_path}/objects.npz")


def test_arrays_beyond_float32_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([[1.0, 1e39], [2.0, 3.0]]), y=[0, 1])
    with pytest.raises(UserError, match="values beyond float32"):
        load_labeled_series(f"npz:{tmp_path}/a.npz")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("label,1\na,1\na,2\n", {}, "at least two classes, got one: 'a'"),
        ("label,1\na,1\nb,x\n", {}, "line 3: expected a number; got 'x'"),
        ("label,1\na,1\nb,inf\n", {}, "the value is infinite"),
        ("label,1\na,1\nb,\n", {}, "all values of series 2 are missing"),
        ("label,1\na,1\na,2\nb,3\n", {}, "every class needs at least 2 series; got 1 of 'b'"),
        ("label,1\na,1\nb,2,3\n", {}, "line 3: expected 2 fields; got 3 fields"),
        ("label,1,split\na,1,holdout\n", {}, "must be train, validation or test; got 'holdout'"),
        ("label,1\na,1\nb,2\n", {"label_kind": "number"}, "must be a finite number for --label_kind number"),
        ("label,1\n", {}, "has no data rows"),
        ("kind,1\na,1\nb,2\n", {}, "no column 'label'; .* Give --label_column as a name in the header"),
        ("label,1\na,1\n,2\nb,3\n", {}, "the label of series 2 is empty"),
        ("label,1\na,3\nb,3\n", {}, "all values are 3 in float32"),
        ("label,1\na,1\nb,1e39\n", {}, "line 3: the value is beyond float32: 1e39"),
        ("id,label,x\n1,a,2\n1,b,3\n", {"id_column": "id", "channels": ("x",)}, "all rows of a series must have one"),
    ],
)
def test_what_is_refused(tmp_path, text, options, words):
    with pytest.raises(UserError, match=words):
        load(tmp_path, "a.csv", text, **options)
