"""The launcher's ends of the workers' pipes, and splitters of their bytes into lines."""

import os
import re
from collections.abc import Callable
from typing import Protocol

CHUNK_BYTES = 1 << 16


class Consumer(Protocol):
    """Consumer of a stream's bytes."""

    def feed(self, data: bytes) -> None:
        """Add bytes."""

    def end(self) -> None:
        """End the input."""


class Stream:
    """The launcher's end of a pipe.

    Args:
        fd: its descriptor; owned.
        lines: consumer of the bytes, such as `Lines` or `LiveLines`.
    """

    def __init__(self, fd: int, lines: Consumer):
        os.set_blocking(fd, False)
        self.fd = fd
        self._lines = lines

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self.fd

    def read(self) -> int | None:
        """Read available bytes; return how many, or None once the other end is closed."""
        try:
            data = os.read(self.fd, CHUNK_BYTES)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: how a pseudo-terminal ends
            return None
        self._lines.feed(data)
        return len(data) or None

    def close(self) -> None:
        """End an incomplete line, and close the descriptor."""
        self._lines.end()
        os.close(self.fd)


class Lines:
    """Splitter of bytes into lines.

    Args:
        add_line: is called with each line, without its newline.
        limit_bytes: longer lines are broken.
    """

    def __init__(self, add_line: Callable[[bytes], None], limit_bytes: int | None = CHUNK_BYTES):
        self._add_line = add_line
        self._limit_bytes = limit_bytes
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._add_line(line)
        if self._limit_bytes and len(self._rest) > self._limit_bytes:
            self.end()

    def end(self) -> None:
        """End the input: the rest is a line too."""
        if self._rest:
            self._add_line(self._rest)
        self._rest = b""


class LiveLines:
    """Splitter of bytes into lines as in a terminal: a row is drawn before it is complete, and may be overwritten.

    Args:
        add_line: is called with each complete line, and whether it was drawn before.
        draw: is called with the incomplete row.
    """

    PIECE = re.compile(rb"([^\r\n]*)([\r\n]?)")

    def __init__(self, add_line: Callable[[bytes, bool], None], draw: Callable[[bytes], None]):
        self._add_line = add_line
        self._draw = draw
        self._row = b""
        self._drawn = False
        self._returned = False

    def feed(self, data: bytes) -> None:
        """Add bytes."""
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
        """End the input."""
        if self._row:
            self._complete()

    def _complete(self):
        row, drawn = self._row, self._drawn
        self._row, self._drawn, self._returned = b"", False, False
        if drawn:
            self._draw(row)
        self._add_line(row, drawn)
