"""The launcher's ends of the workers' pipes, and what cuts their bytes into lines."""

import os
import re
from collections.abc import Callable

CHUNK_BYTES = 1 << 16


class Stream:
    """The launcher's end of a pipe.

    Args:
        fd: its descriptor; owned.
        lines: what cuts the bytes.
    """

    def __init__(self, fd: int, lines):
        os.set_blocking(fd, False)
        self.fd = fd
        self._lines = lines

    def fileno(self) -> int:
        """For selectors."""
        return self.fd

    def read(self) -> int | None:
        """Takes what is there; returns how many bytes, or None once everybody has closed the other end."""
        try:
            data = os.read(self.fd, CHUNK_BYTES)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: how a pseudo-terminal ends
            return None
        self._lines.feed(data)
        return len(data) or None

    def close(self) -> None:
        """Hands on the line that was begun."""
        self._lines.end()
        os.close(self.fd)


class Lines:
    """Cuts bytes into lines.

    Args:
        take: is called with each line, without its newline.
        limit_bytes: longer lines are broken.
    """

    def __init__(self, take: Callable[[bytes], None], limit_bytes: int | None = CHUNK_BYTES):
        self._take = take
        self._limit_bytes = limit_bytes
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Takes more bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if self._limit_bytes and len(self._rest) > self._limit_bytes:
            self.end()

    def end(self) -> None:
        """There is no more: the rest is a line too."""
        if self._rest:
            self._take(self._rest)
        self._rest = b""


class LiveLines:
    """Cuts bytes into lines as a terminal does: a row is shown before it is complete, and may be written anew.

    Args:
        take: is called with each complete line, and whether it was drawn while it grew.
        draw: is called with the row as it is so far.
    """

    PIECE = re.compile(rb"([^\r\n]*)([\r\n]?)")

    def __init__(self, take: Callable[[bytes, bool], None], draw: Callable[[bytes], None]):
        self._take = take
        self._draw = draw
        self._row = b""
        self._drawn = False
        self._returned = False

    def feed(self, data: bytes) -> None:
        """Takes more bytes."""
        for text, end in self.PIECE.findall(data):
            if text and self._returned:
                self._row, self._returned = b"", False
            self._row += text
            if end == b"\n":
                self._complete()
            elif text:
                self._draw(self._row)
                self._drawn = True
            self._returned = self._returned or end == b"\r"

    def end(self) -> None:
        """There is no more."""
        if self._row:
            self._complete()

    def _complete(self):
        row, drawn = self._row, self._drawn
        self._row, self._drawn, self._returned = b"", False, False
        if drawn:
            self._draw(row)
        self._take(row, drawn)
