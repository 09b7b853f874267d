"""Copies the workers' output to the console."""

import selectors
import time
from collections.abc import Callable, Sequence

from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.worker import Worker

TICK_S = 0.1
# Enough reads to empty a full pipe, or a pseudo-terminal, which returns a few kilobytes at once.
PIPE_CHUNKS = 64


class Pump:
    """Reader of all pipes in one thread, so that whole lines of the workers alternate.

    Args:
        workers: whose output is copied.
        console: flushed after each round.
    """

    def __init__(self, workers: Sequence[Worker], console: Console):
        self._console = console
        self._selector = selectors.DefaultSelector()
        for worker in workers:
            for stream in worker.streams:
                self._selector.register(stream, selectors.EVENT_READ, stream)

    @property
    def is_closed(self) -> bool:
        """Whether all workers have closed their ends."""
        return not self._selector.get_map()

    def tick(self) -> None:
        """Wait for output, for one tick at most, and show it."""
        if self.is_closed:
            time.sleep(TICK_S)
        for key, _ in self._selector.select(TICK_S):
            self._read(key.data)
        self._console.flush()

    def tick_while(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Repeat `tick` while `condition` holds, for `limit_s` at most."""
        deadline = time.monotonic() + limit_s
        while condition() and time.monotonic() < deadline:
            self.tick()

    def drain(self, worker: Worker) -> None:
        """Show what a worker wrote before its end; other processes of its group may write forever."""
        for stream in worker.streams:
            for _ in range(PIPE_CHUNKS):
                if stream not in self._selector.get_map() or not self._read(stream):
                    break

    def close(self) -> None:
        """Close the launcher's ends; an incomplete line is shown."""
        for key in list(self._selector.get_map().values()):
            self._end(key.data)
        self._selector.close()
        self._console.end_row()
        self._console.flush()

    def _read(self, stream):
        count = stream.read()
        if count is None:
            self._end(stream)
        return count

    def _end(self, stream):
        self._selector.unregister(stream)
        stream.close()
