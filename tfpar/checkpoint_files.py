"""Checkpoints on disk: directories that are written as a whole and verified before they are read.

    checkpoint-00000150/              after step 150, within an epoch
    checkpoint-00000200-epoch-4/      after step 200, at the end of the fourth epoch
        variables.npz  state.json     any files
        manifest.json                 facts, and size and sha256 of each file; its own sha256 too

Importing this module imports neither TensorFlow nor Keras.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfpar.errors import UserError
from tfpar.files import read_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MANIFEST = "manifest.json"
_VERSION = 1
_NAME = re.compile(r"checkpoint-([0-9]{8,})(?:-epoch-([0-9]+))?")


class DamagedCheckpointError(ValueError):
    """Error for a checkpoint that differs from the one that was written.

    Args:
        path: its directory.
        reason: the evidence.
    """

    def __init__(self, path: Path, reason: str):
        self.path, self.reason = path, reason
        super().__init__(f"{path} is damaged: {reason}")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Verified content of a checkpoint.

    Attributes:
        path: its directory.
        facts: what its manifest holds besides the list of files.
        files: bytes by name.
    """

    path: Path
    facts: dict[str, Any]
    files: dict[str, bytes]


def checkpoint_name(step: int, finished_epochs: int | None = None) -> str:
    """Return the name of a checkpoint; `finished_epochs` for one at the end of an epoch."""
    return f"checkpoint-{step:08d}" + ("" if finished_epochs is None else f"-epoch-{finished_epochs}")


def list_checkpoints(directory: Path) -> list[Path]:
    """List the checkpoints in a directory, the newest first, without reading them."""
    if not directory.is_dir():
        return []
    found = [(match, path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    found.sort(key=lambda pair: (int(pair[0][1]), int(pair[0][2] or 0)), reverse=True)
    return [path for _, path in found]


def write_checkpoint(directory: Path, name: str, files: Mapping[str, Any], facts: Mapping[str, Any]) -> Path:
    """Write a checkpoint that exists either as a whole or not at all, also after a power failure.

    Args:
        directory: of all checkpoints.
        name: of this one, see `checkpoint_name`. An existing one of this name is replaced.
        files: bytes or buffer by name.
        facts: entries of the manifest that can be written as JSON.

    Returns:
        Its path.

    Raises:
        OSError: the disk is full or cannot be written; `filename` is the path. Nothing was changed.
    """
    path = directory / name
    with _failures_named(path):
        directory.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=directory))
        try:
            entries = {file: _write_synced(temporary / file, content) for file, content in files.items()}
            _write_synced(
                temporary / MANIFEST, _encode_manifest({"version": _VERSION, **facts, "name": name, "files": entries})
            )
            _sync_directory(temporary)
            temporary.chmod(0o755)
            _replace_directory(temporary, path)
            _sync_directory(directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and verify every byte of it.

    Raises:
        DamagedCheckpointError: a file is missing or differs from the one that was written.
        ValueError: a newer version of tfpar wrote it.
    """
    manifest = _read_manifest(path)
    files = {}
    for name, entry in manifest.pop("files").items():
        content = _read(path, name)
        if len(content) != entry["bytes"]:
            raise DamagedCheckpointError(path, f"{name} has {len(content):,} bytes; expected {entry['bytes']:,}")
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise DamagedCheckpointError(path, f"{name} has another sha256 than its manifest")
        files[name] = content
    return Checkpoint(path, manifest, files)


def read_newest(directory: Path) -> tuple[Checkpoint | None, list[DamagedCheckpointError]]:
    """Read the newest intact checkpoint of a directory.

    Returns:
        The checkpoint, or None if there is none; and the errors of newer ones that are damaged.
    """
    damaged: list[DamagedCheckpointError] = []
    for path in list_checkpoints(directory):
        try:
            return read_checkpoint(path), damaged
        except DamagedCheckpointError as error:
            damaged.append(error)
    return None, damaged


def lock(directory: Path) -> int | None:
    """Reserve a directory for this process, until the returned descriptor is closed or the process ends.

    Returns:
        None where directories cannot be locked, or the directory cannot be made, which the first write reports.

    Raises:
        UserError: another run has reserved it.
    """
    if fcntl is None:
        return None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UserError(f"{directory} is in use by another run. Wait for its end, or use another directory.") from error
    except OSError:  # a network file system without locks
        os.close(descriptor)
        return None
    return descriptor


def set_aside(path: Path) -> None:
    """Rename a damaged checkpoint, so that it is no longer listed."""
    target = path.with_name(f"damaged-{path.name}")
    shutil.rmtree(target, ignore_errors=True)
    with contextlib.suppress(OSError):  # on a disk that cannot be written, the next write reports it
        path.rename(target)


def remove_old(directory: Path, count: int) -> None:
    """Remove all checkpoints but the newest `count`."""
    for path in list_checkpoints(directory)[count:]:
        _remove(path)


def remove_all(directory: Path) -> None:
    """Remove all checkpoints of a directory, and damaged ones."""
    if directory.is_dir():
        for path in [*list_checkpoints(directory), *directory.glob("damaged-checkpoint-*")]:
            _remove(path)
        remove_unfinished(directory)


def remove_unfinished(directory: Path) -> None:
    """Remove what writers left that were killed."""
    for pattern in (".checkpoint-*.part", ".*checkpoint-*.old"):
        for path in directory.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def _remove(path):
    """Remove a directory: a reader sees all of it or nothing."""
    hidden = path.with_name(f".{path.name}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _read_manifest(path) -> dict[str, Any]:
    written = _read(path, MANIFEST)
    try:
        content = json.loads(written)["content"]
        intact = written == _encode_manifest(content)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedCheckpointError(path, f"{MANIFEST} cannot be parsed") from error
    if not intact:
        raise DamagedCheckpointError(path, f"{MANIFEST} has another sha256 than it states")
    if content["version"] > _VERSION:
        raise ValueError(f"{path} was written by a newer version of tfpar. Upgrade tfpar, or use another directory.")
    if content["name"] != path.name:
        raise DamagedCheckpointError(path, f"{MANIFEST} belongs to {content['name']}")
    return content


def _encode_manifest(content) -> bytes:
    """Encode a manifest with its own sha256."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({"sha256": digest, "content": content}, indent=1).encode()


def _read(path, name) -> bytes:
    try:
        return read_file(path / name)
    except OSError as error:
        raise DamagedCheckpointError(path, f"{name} cannot be read: {error.strerror}") from error


def _write_synced(path, content) -> dict[str, Any]:
    """Write a file to the disk itself; return its size and sha256."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _sync_directory(path):
    if os.name == "nt":  # where a directory cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_directory(temporary, path):
    if not path.exists():
        temporary.rename(path)
        return
    former = path.with_name(f".{path.name}.old")
    shutil.rmtree(former, ignore_errors=True)
    path.rename(former)
    temporary.rename(path)
    shutil.rmtree(former, ignore_errors=True)


@contextlib.contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    """Within this context errors of the operating system name `path`."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"the checkpoint cannot be written: {error.strerror}", str(path)) from error
