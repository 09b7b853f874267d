"""Files and directories that appear whole or not at all."""

import errno
import functools
import os

import pytest
import tensorflow as tf

from tfpar.errors import UserError
from tfpar.files import check_writable_directory, directory_written_atomically, written_atomically


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_file_appears_when_it_is_done(tmp_path):
    with written_atomically(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "a.txt").exists()
        assert temporary.parent == tmp_path
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_is_replaced_or_stays(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_atomically(path) as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    with written_atomically(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    former = os.umask(0o027)
    try:
        with written_atomically(tmp_path / "file"):
            pass
        with directory_written_atomically(tmp_path / "directory", "sign"):
            pass
    finally:
        os.umask(former)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "directory").stat().st_mode & 0o777 == 0o750


def write(path, name="sign", content="new"):
    with directory_written_atomically(path, "sign") as temporary:
        (temporary / name).write_text(content)


def test_a_directory_appears_when_it_is_done_with_its_parents(tmp_path):
    path = tmp_path / "deep" / "down"
    with directory_written_atomically(path, "sign") as temporary:
        assert not list(temporary.iterdir())
        (temporary / "sign").touch()
        assert not path.exists()
    assert names(path) == ["sign"]
    assert names(path.parent) == ["down"]


def test_own_directory_is_replaced_as_a_whole(tmp_path):
    write(tmp_path / "d")
    (tmp_path / "d" / "left_over").touch()
    write(tmp_path / "d", content="newer")
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["sign"]
    assert (tmp_path / "d" / "sign").read_text() == "newer"


def test_an_empty_directory_may_stand_there(tmp_path):
    (tmp_path / "d").mkdir()
    write(tmp_path / "d")
    assert names(tmp_path / "d") == ["sign"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_crash_leaves_nothing(tmp_path, error):
    with pytest.raises(error), directory_written_atomically(tmp_path / "d", "sign") as temporary:
        (temporary / "sign").touch()
        raise error
    assert names(tmp_path) == []


def test_a_crash_leaves_the_former_content(tmp_path):
    write(tmp_path / "d", content="former")
    with pytest.raises(RuntimeError), directory_written_atomically(tmp_path / "d", "sign") as temporary:
        (temporary / "sign").write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["d"]
    assert (tmp_path / "d" / "sign").read_text() == "former"


def test_a_directory_of_other_files_is_not_replaced(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "photo").touch()
    with pytest.raises(UserError, match="holds other files"):
        write(tmp_path / "d")
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["photo"]


def test_a_file_in_the_way_stays(tmp_path):
    (tmp_path / "d").write_text("precious")
    with pytest.raises(UserError, match="is a file"):
        write(tmp_path / "d")
    assert (tmp_path / "d").read_text() == "precious"


@pytest.mark.parametrize("below", ["file/d", "file/deep/d"])
def test_a_parent_that_is_a_file(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write(tmp_path / below)


def test_a_link_to_an_own_directory_is_written_through(tmp_path):
    write(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", content="newer")
    assert (tmp_path / "link" / "sign").read_text() == "newer"
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = type(tmp_path)("d")
    write(path)
    write(path, content="newer")
    assert (tmp_path / "d" / "sign").read_text() == "newer"
    assert names(tmp_path) == ["d"]


def test_the_check_leaves_no_trace(tmp_path):
    check_writable_directory(tmp_path / "parent" / "d", "sign")
    assert names(tmp_path) == []


@pytest.mark.parametrize("writer", [written_atomically, functools.partial(directory_written_atomically, signed_by="x")])
@pytest.mark.parametrize("program", ["python", "tensorflow"])
def test_a_full_disk_is_named_and_nothing_is_left(writer, program, tmp_path):
    with pytest.raises(OSError, match="No space left on device") as raised, writer(tmp_path / "out"):
        if program == "python":
            with open("/dev/full", "wb", buffering=0) as file:
                file.write(b"1")
        else:
            tf.io.write_file("/dev/full", "1")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "out"))
    assert not list(tmp_path.iterdir())
