"""Checkpoints on disk: any damage is found, the one before is used, and a writer that dies leaves whole ones alone."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tfpar.checkpoint_files import (
    DamagedCheckpointError,
    checkpoint_name,
    list_checkpoints,
    lock,
    read_checkpoint,
    read_newest,
    remove_old,
    remove_unfinished,
    write_checkpoint,
)
from tfpar.checkpoint_interval import Interval, is_interval, parse_interval
from tfpar.errors import UserError

FILES = {"state.json": b'{"step": 3}', "arrays.npz": bytes(range(256)) * 4}


def write(directory, step, **files):
    return write_checkpoint(directory, checkpoint_name(step), {**FILES, **files}, {"step": step})


def files_of(directory):
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_a_directory_has_one_run_at_a_time_and_is_free_when_its_process_is_killed(tmp_path):
    script = f"""
import pathlib, time
from tfpar.checkpoint_files import lock
descriptor = lock(pathlib.Path({str(tmp_path)!r}))
print("locked", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=r"is in use by another run\. Wait for its end, or use another directory"):
            lock(tmp_path)
        process.kill()
        process.wait()
    for _ in range(2):
        os.close(lock(tmp_path))


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    path = write_checkpoint(tmp_path, checkpoint_name(200, finished_epochs=4), FILES, {"step": 200})
    assert path.name == "checkpoint-00000200-epoch-4"
    content = read_checkpoint(path)
    assert content.files == FILES and content.facts["step"] == 200
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_newest_are_ordered_by_step_and_epoch_and_old_ones_are_removed(tmp_path):
    names = [checkpoint_name(5), checkpoint_name(30), checkpoint_name(30, 2), checkpoint_name(123456789)]
    for name in reversed(names):
        write_checkpoint(tmp_path, name, FILES, {})
    assert [path.name for path in list_checkpoints(tmp_path)] == names[::-1]
    remove_old(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[2:])


def test_a_checkpoint_of_the_same_name_is_replaced(tmp_path):
    write(tmp_path, 3)
    path = write(tmp_path, 3, **{"state.json": b"new"})
    assert read_checkpoint(path).files["state.json"] == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_every_bit_of_every_file_is_verified(tmp_path):
    """Each byte of each file is changed in one bit: all of 1,000 changes and more are found."""
    path = write(tmp_path, 3)
    changes = 0
    for file in path.iterdir():
        content = file.read_bytes()
        for offset in range(len(content)):
            changed = bytearray(content)
            changed[offset] ^= 1 << offset % 8
            file.write_bytes(changed)
            with pytest.raises(DamagedCheckpointError):
                read_checkpoint(path)
            changes += 1
        file.write_bytes(content)
    read_checkpoint(path)
    assert changes > 1000


def truncate(path, name, other):
    os.truncate(path / name, (path / name).stat().st_size // 2)


def empty(path, name, other):
    os.truncate(path / name, 0)


def remove(path, name, other):
    (path / name).unlink()


def swap(path, name, other):
    shutil.copy(other / name, path / name)


def replace_by_directory(path, name, other):
    (path / name).unlink()
    (path / name).mkdir()


@pytest.mark.parametrize("damage", [truncate, empty, remove, swap, replace_by_directory])
@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_damaged_checkpoint_is_named_and_the_previous_one_is_used(tmp_path, name, damage):
    previous = write(tmp_path, 3)
    newest = write(tmp_path, 4, **{"state.json": b'{"step": 4}', "arrays.npz": b"other"})
    damage(newest, name, previous)
    content, damaged = read_newest(tmp_path)
    assert content.path == previous and content.facts["step"] == 3
    assert [error.path for error in damaged] == [newest] and name in damaged[0].reason


def test_directories_that_changed_names_are_damaged(tmp_path):
    one, other = write(tmp_path, 3), write(tmp_path, 4)
    one.rename(tmp_path / "x")
    other.rename(one)
    (tmp_path / "x").rename(other)
    content, damaged = read_newest(tmp_path)
    assert content is None and len(damaged) == 2


WRITER = """
import sys
from pathlib import Path
from tfpar.checkpoint_files import checkpoint_name, remove_old, write_checkpoint
step = 0
while True:
    step += 1
    write_checkpoint(Path(sys.argv[1]), checkpoint_name(step), {"a": bytes([step % 256]) * 200_000}, {"step": step})
    remove_old(Path(sys.argv[1]), 2)
"""


def test_a_writer_that_is_killed_leaves_whole_checkpoints(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(8):
        directory = tmp_path / "run"
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(directory)])
        deadline = time.monotonic() + 30
        while len(list_checkpoints(directory)) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.03))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        content, damaged = read_newest(directory)
        assert damaged == [] and set(content.files["a"]) == {content.facts["step"] % 256}
        remove_unfinished(directory)
        assert all(path.name.startswith("checkpoint-") for path in directory.iterdir())
        shutil.rmtree(directory)


@contextlib.contextmanager
def small_disk(path: Path, size_kb: int):
    path.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(path)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_leaves_older_checkpoints_alone(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        write(disk, 1)
        before = files_of(disk)
        with pytest.raises(OSError, match="the checkpoint cannot be written: No space left") as caught:
            write(disk, 2, big=bytes(100_000))
        assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(disk / checkpoint_name(2))
        assert files_of(disk) == before
        write(disk, 3)


def test_a_file_in_the_way_is_an_error_that_names_the_checkpoint(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="cannot be written"):
        write(tmp_path / "file", 1)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "interval"),
    [("50steps", (50, "steps")), ("1step", (1, "steps")), ("1epoch", (1, "epochs")), ("300s", (300, "seconds"))],
)
def test_intervals(text, interval):
    assert parse_interval(text) == Interval(*interval)


@pytest.mark.parametrize("text", ["", "5", "0steps", "-1epoch", "1.5epochs", "5 minutes", "steps", None])
def test_no_intervals(text):
    assert not is_interval(text)
    with pytest.raises(ValueError, match="`every` must be Nsteps, Nepochs or Ns"):
        parse_interval(text)
