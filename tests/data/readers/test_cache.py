"""The cache directory, its locks, and files that appear whole or not at all."""

import subprocess
import sys
import time

import pytest

from tfpar.data.readers.cache import cache_root, locked, make_directory
from tfpar.errors import UserError
from tfpar.files import written_atomically


def test_cache_root_prefers_our_variable_then_xdg_then_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TFPAR_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == tmp_path / "home" / ".cache" / "tfpar"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "tfpar"
    monkeypatch.setenv("TFPAR_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"


def test_a_directory_that_cannot_be_made_names_the_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be made .* set TFPAR_CACHE"):
        make_directory(tmp_path / "file" / "cache")


def test_an_atomic_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_atomically(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with written_atomically(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_atomic_write_obeys_the_umask(tmp_path):
    (tmp_path / "plain").write_text("")
    with written_atomically(tmp_path / "atomic") as temporary:
        temporary.write_text("")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_lock_keeps_other_processes_out_until_it_is_released(tmp_path):
    program = "import sys; from pathlib import Path; from tfpar.data.readers.cache import locked\n"
    program += "with locked(Path(sys.argv[1])): Path(sys.argv[2]).touch()"
    with locked(tmp_path / "lock"):
        other = subprocess.Popen([sys.executable, "-c", program, tmp_path / "lock", tmp_path / "entered"])
        time.sleep(1.0)
        assert not (tmp_path / "entered").exists()
    assert other.wait(timeout=60) == 0
    assert (tmp_path / "entered").exists()
