"""Writes whole lines of all workers to the launcher's standard error, and the chief's progress bar below them."""

import os
from typing import BinaryIO

CLEAR_ROW = b"\r\x1b[K"


class Console:
    """Output that is buffered until `flush`.

    Args:
        stream: to write to.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._pending = bytearray()
        self._row = b""
        self.is_broken = False

    def line(self, text: bytes) -> None:
        """Write a whole line, above the open row if there is one."""
        if self._row:
            self._pending += CLEAR_ROW + text + b"\n" + self._row.replace(b"\b", b"")
        else:
            self._pending += text + b"\n"

    def draw_row(self, text: bytes) -> None:
        """Replace the open row by `text`."""
        if text.startswith(self._row):
            self._pending += text[len(self._row) :]
        else:
            self._pending += CLEAR_ROW + text
        self._row = text

    def end_row(self) -> None:
        """End the open row."""
        if self._row:
            self._pending += b"\n"
        self._row = b""

    def flush(self) -> None:
        """Write the buffer. If the stream is closed, set `is_broken`, after which nothing is written."""
        pending, self._pending = self._pending, bytearray()
        if self.is_broken or not pending:
            return
        try:
            self._stream.write(pending)
            self._stream.flush()
        except OSError:
            self.is_broken = True
            # At exit Python flushes the stream's own buffer, and a failure would change the exit code.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
