"""Opens text files that people made, and refuses what is not UTF-8."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tfpar.errors import UserError

_SNIFFED_BYTES = 1 << 16


@contextlib.contextmanager
def opened(path: Path, strict: bool = False) -> Iterator[BinaryIO]:
    """Opens a file for reading bytes.

    Args:
        path: the file.
        strict: refuse it if any of its lines is not UTF-8.

    Raises:
        UserError: there is no such file, it cannot be read, it is UTF-16, or not UTF-8 where that is asked for.
    """
    if path.is_dir():
        raise UserError(f"{path} is a directory; expected a file")
    try:
        file = open(path, "rb", buffering=_SNIFFED_BYTES)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; expected a file") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    with file:
        _refuse_utf16(path, file)
        if strict:
            _check_utf8(path, file)
        yield file


def _refuse_utf16(path: Path, file: BinaryIO) -> None:
    """Refuses UTF-16 and UTF-32, whose every second byte is NUL in Western text."""
    start = file.peek(_SNIFFED_BYTES)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start.count(0) > len(start) // 4:
        raise UserError(f"{path} is not UTF-8: it looks like UTF-16 or a binary file; convert it to UTF-8")


def _check_utf8(path: Path, file: BinaryIO) -> None:
    for number, line in enumerate(file, start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path} is not UTF-8: line {number} does not decode ({error.reason} at byte {error.start} of it); "
                "convert the file, for example by: iconv -f latin1 -t utf-8"
            ) from error
    file.seek(0)
