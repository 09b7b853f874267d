"""Reads regular files, and writes files and directories atomically."""

import contextlib
import errno
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfpar.errors import UserError

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_MOST_BYTES = 8 << 30
_MOST_BYTES_UNSIZED = 1 << 20  # of files whose size is 0 because the kernel generates their content, as in /proc


def open_file(path: Path | str) -> io.BufferedReader:
    """Open a regular file for reading; refuse FIFOs and devices, which may block or never end.

    Raises:
        OSError: the file does not exist, cannot be read or is not a regular file; `strerror` has the reason.
    """
    try:
        _check_regular(os.stat(path).st_mode)  # before opening, which changes the state of some devices
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a NUL character
        raise OSError(errno.EINVAL, "this is not a path") from error
    try:
        _check_regular(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path | str) -> bytes:
    """Read a whole regular file.

    Raises:
        OSError: as of `open_file`, or the file is larger than 8 GiB.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MOST_BYTES:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes; expected at most {_MOST_BYTES:,}")
        return file.read(size or _MOST_BYTES_UNSIZED) or b""


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise OSError(errno.EINVAL, f"it is {kind}; expected a regular file")


@contextlib.contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Within this context errors of a full disk, also those of TensorFlow, become an OSError that names `path`."""
    try:
        yield
    except Exception as error:
        code = getattr(error, "errno", None)
        if code not in (errno.ENOSPC, errno.EDQUOT) and os.strerror(errno.ENOSPC) not in str(error):
            raise
        code = code or errno.ENOSPC
        raise OSError(code, os.strerror(code), str(path)) from error


@contextlib.contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside `path`; it becomes `path` if the body succeeds, else it is removed.

    A reader of `path` sees the old content or the new one, never an incomplete one, even if the writer is killed.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        with full_disk_named(path):
            yield temporary
        # mkstemp makes files private; a shared cache or an export must be readable like any other file.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def directory_written_atomically(path: Path, signed_by: str) -> Iterator[Path]:
    """Yield an empty directory beside `path`; it becomes `path` if the body succeeds, else it is removed.

    Args:
        path: the directory. An existing directory is replaced as a whole.
        signed_by: name of a file that identifies directories of this kind. Others are not replaced.

    Raises:
        UserError: see `check_writable_directory`.
    """
    path = path.resolve()  # replaces the directory that a link points to, not the link
    check_writable_directory(path, signed_by)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        temporary.chmod(0o777 & ~_umask())
        with full_disk_named(path):
            yield temporary
        if path.exists():
            former = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            os.replace(path, former)
            os.replace(temporary, path)
            shutil.rmtree(former)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_writable_directory(path: Path, signed_by: str) -> None:
    """Check before long work that `directory_written_atomically(path)` can write.

    Raises:
        UserError: `path` is a file or a directory with other files, or its parent cannot be created or written to.
    """
    path = path.absolute()
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, but a directory is to be written there; name another one")
    if path.is_dir() and any(path.iterdir()) and not (path / signed_by).exists():
        raise UserError(
            f"the directory {path} holds other files (no {signed_by}) and will not be replaced; name another one"
        )
    there = next(parent for parent in path.parents if parent.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=there):
            pass
    except OSError as error:
        raise UserError(f"the directory {path} cannot be written: {error.strerror}; name another one") from error


def check_writable_file(path: Path, argument: str) -> None:
    """Raise UserError, before long work, unless the file `path`, given as `argument`, can be written."""
    if path.is_dir():
        raise UserError(f"{argument} {path} is a directory; name a file")
    _check_writable(path.absolute().parent, f"{argument} {path}")


def check_usable_directory(path: Path, argument: str) -> None:
    """Raise UserError, before long work, unless `path`, given as `argument`, is or can become a writable directory."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{argument} {path} is a file; name a directory")
    path = path.absolute()
    _check_writable(next(there for there in (path, *path.parents) if there.exists()), f"{argument} {path}")


def _check_writable(directory, name):
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise UserError(f"{name} cannot be written: {error.strerror}; name another path") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
