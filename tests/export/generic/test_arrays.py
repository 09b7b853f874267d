"""Rows from npz, npy and csv files."""

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.export.generic.arrays import read_arrays

ONE = {"x": (None, 2)}


def test_npz_by_name(tmp_path):
    arrays = {"a": np.arange(3), "b": np.ones((3, 2)), "labels": np.zeros(3)}
    np.savez(tmp_path / "f", **arrays)
    read = read_arrays("npz", tmp_path / "f.npz", {"b": (2,), "a": ()})
    assert list(read) == ["b", "a"]
    np.testing.assert_array_equal(read["a"], arrays["a"])
    np.testing.assert_array_equal(read["b"], arrays["b"])


def test_npy_as_it_is(tmp_path):
    np.save(tmp_path / "f.npy", np.ones((4, 3, 2), np.int16))
    read = read_arrays("npy", tmp_path / "f.npy", ONE)["x"]
    assert read.shape == (4, 3, 2) and read.dtype == np.int16


def test_csv_is_padded_at_the_right(tmp_path):
    (tmp_path / "f").write_text("1,2,3,4\n\n5,6.5\n")
    read = read_arrays("csv", tmp_path / "f", ONE)["x"]
    np.testing.assert_array_equal(read, [[[1, 2], [3, 4]], [[5, 6.5], [0, 0]]])


def test_whole_numbers_are_integers(tmp_path):
    (tmp_path / "f").write_text("1.0,2\n3e0\n")
    read = read_arrays("csv", tmp_path / "f", {"x": (None,)})["x"]
    assert read.dtype == np.int64 and read.tolist() == [[1, 2], [3, 0]]


@pytest.mark.parametrize("text", ["nan,1", "inf,1", "1e300,1"])
def test_numbers_that_are_no_integers(tmp_path, text):
    (tmp_path / "f").write_text(text)
    assert read_arrays("csv", tmp_path / "f", {"x": (None,)})["x"].dtype == np.float64


def broken(directory):
    np.savez(directory / "other.npz", y=np.ones(2))
    np.save(directory / "array.npy", np.ones(2))
    np.save(directory / "objects.npy", np.array([{}]), allow_pickle=True)
    (directory / "empty").touch()
    (directory / "cut.npz").write_bytes((directory / "other.npz").read_bytes()[:-9])
    (directory / "cut.npy").write_bytes((directory / "array.npy").read_bytes()[:-1])
    (directory / "words").write_text("one,two")
    (directory / "odd").write_text("1,2\n1,2,3\n")
    (directory / "bytes").write_bytes(b"\xff\xfe\x00")


CASES = [
    ("npz", "other.npz", "no array x, but y"),
    ("npz", "array.npy", "not an npz file"),
    ("npz", "cut.npz", "not an npz file"),
    ("npy", "other.npz", ""),
    ("npy", "objects.npy", "allow_pickle"),
    ("npy", "cut.npy", ""),
    ("csv", "words", ""),
    ("csv", "odd", "line 2 has 3 numbers, not a multiple of the input's 2"),
    ("csv", "bytes", ""),
    *((kind, name, "") for kind in ("npz", "npy", "csv") for name in ("absent", ".")),
    *((kind, "empty", "") for kind in ("npz", "npy")),
]


@pytest.mark.parametrize("kind, name, words", CASES)
def test_files_that_cannot_be_read(tmp_path, kind, name, words):
    broken(tmp_path)
    with pytest.raises(UserError, match=f"{kind}:.* cannot be read: .*{words}"):
        read_arrays(kind, tmp_path / name, ONE)


@pytest.mark.parametrize("kind", ["npy", "csv"])
def test_several_inputs_need_names(tmp_path, kind):
    with pytest.raises(UserError, match="the inputs a, b; give their arrays as npz:FILE"):
        read_arrays(kind, tmp_path / "any", {"a": (2,), "b": (2,)})
