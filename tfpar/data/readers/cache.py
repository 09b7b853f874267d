"""Cache directory, shared by several processes."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tfpar.errors import UserError


def cache_root() -> Path:
    """Return the cache directory: $TFPAR_CACHE, else $XDG_CACHE_HOME/tfpar, else ~/.cache/tfpar. It may not exist."""
    if chosen := os.environ.get("TFPAR_CACHE"):
        return Path(chosen).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "tfpar"
    return Path.home() / ".cache" / "tfpar"


def make_directory(path: Path) -> Path:
    """Make `path` and its parents; raise UserError if that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the cache directory {path} cannot be made ({error.strerror}); set TFPAR_CACHE to a directory "
            "that you may write to"
        ) from error
    return path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` while the body runs; other processes wait.

    The kernel drops the lock when its holder dies, so no stale lock has to be cleaned up. The file itself stays:
    removing it would let a third process lock a new file of the same name while a second one holds the old one.

    Raises:
        UserError: the lock file cannot be made.
    """
    import fcntl  # POSIX only: importing this module must not fail elsewhere

    make_directory(path.parent)
    try:
        handle = open(path, "ab")
    except OSError as error:
        raise UserError(
            f"cannot lock {path} ({error.strerror}); set TFPAR_CACHE to a directory that you may write to"
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
