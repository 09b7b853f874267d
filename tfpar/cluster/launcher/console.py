"""The launcher's standard error: whole lines of all workers, and the chief's progress bar below them."""

import os
from typing import BinaryIO

CLEAR_ROW = b"\r\x1b[K"


class Console:
    """Collects what is to be written until `flush`.

    Args:
        stream: where to write.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._pending = bytearray()
        self._row = b""
        self.is_broken = False

    def line(self, text: bytes) -> None:
        """A whole line, above the open row if there is one."""
        if self._row:
            self._pending += CLEAR_ROW + text + b"\n" + self._row.replace(b"\b", b"")
        else:
            self._pending += text + b"\n"

    def draw_row(self, text: bytes) -> None:
        """Shows `text` as the row that is still open, in place of what it showed before."""
        if text.startswith(self._row):
            self._pending += text[len(self._row) :]
        else:
            self._pending += CLEAR_ROW + text
        self._row = text

    def end_row(self) -> None:
        """What the row shows now stays."""
        if self._row:
            self._pending += b"\n"
        self._row = b""

    def flush(self) -> None:
        """Writes. If nobody reads any more, this is noted in `is_broken`, and nothing is written from then on."""
        pending, self._pending = self._pending, bytearray()
        if self.is_broken or not pending:
            return
        try:
            self._stream.write(pending)
            self._stream.flush()
        except OSError:
            self.is_broken = True
            # Python flushes at its exit what is left in the stream's own buffer, and would end with a code of its own.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
