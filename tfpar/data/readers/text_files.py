"""Text files that people made: their encoding, told or found out."""

import codecs
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

from tfpar.errors import UserError
from tfpar.files import open_file

UTF8 = "utf-8"
WESTERN = "--encoding cp1252 for Western European text (in Python encoding='cp1252')"
# Marks of UTF-32 first: they begin with those of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: UTF8,
}


@contextlib.contextmanager
def open_text(path: Path, encoding: str = UTF8, newline: str = "", strict: bool = False) -> Iterator[io.TextIOBase]:
    """Open a text file; a byte order mark is not part of the text.

    Args:
        path: the file.
        encoding: as Python names it. Where UTF-8 is asked for, bytes that are not come as lone surrogates, by which bad
            rows are told later; text in other encodings must decode.
        newline: as of `open`.
        strict: refuse a file with a line that is not UTF-8.

    Raises:
        UserError: the file cannot be read, or is in another encoding; there is no encoding of that name.
    """
    encoding = canonical_encoding(encoding)
    try:
        file = open_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; expected a file") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        encoding = _agreed(path, file.peek(), encoding)
        if strict and encoding == UTF8:
            _check_utf8(path, file)
        if encoding == UTF8:
            yield io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
            return
        text = io.TextIOWrapper(file, encoding=encoding, newline=newline)
        try:
            yield text
        except UnicodeError as error:
            why = getattr(error, "reason", error)
            raise UserError(f"{path} is not {encoding}: it does not decode ({why}); give another --encoding") from error


def canonical_encoding(encoding: str) -> str:
    """Return the codec's name; that of UTF-8 with a byte order mark is "utf-8", too.

    Raises:
        UserError: Python knows no such encoding of text.
    """
    try:
        "".encode(encoding)  # LookupError for codecs that are no text encodings
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError, UnicodeError) as error:
        raise UserError(
            f"--encoding must be an encoding that Python knows, such as utf-8, utf-16, cp1252; got {encoding!r}"
        ) from error
    return UTF8 if name == "utf-8-sig" else name


def _agreed(path: Path, start: bytes, encoding: str) -> str:
    """Return the encoding unless the file starts with the mark of another one or the NUL bytes of UTF-16."""
    found = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    if found is None and start.count(0) > len(start) // 4 and not encoding.startswith("utf-32"):
        found = "utf-16-be" if start[::2].count(0) > start[1::2].count(0) else "utf-16-le"
    if found is not None and not encoding.startswith(found):
        raise UserError(
            f"{path} is not {encoding.upper()}: it looks like {found.upper()}, or is no text; if it is text, give "
            f"--encoding {found} (in Python encoding={found!r})"
        )
    return found or encoding


def _check_utf8(path: Path, file: io.BufferedReader) -> None:
    for number, line in enumerate(file, start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path} is not UTF-8: line {number} does not decode ({error.reason} at byte {error.start} of it); "
                f"give its encoding, such as {WESTERN}"
            ) from error
    file.seek(0)
