"""Kills the workers if the launcher is killed in a way that it cannot answer to.

A process of its own waits for the end of a pipe whose other end the launcher holds: however the launcher ends, the
kernel closes it. Unlike a parent-death signal it reaches the workers' children too, whole process groups, and works on
any Unix. Workers enter themselves before they become the user's command, so that none can be missed.
"""

import contextlib
import os
import signal
import subprocess
import sys

FAREWELL = b"done"


class Guard:
    """Context manager around the workers' lives. `entry` is the descriptor where they enter their process groups."""

    def __enter__(self):
        reading, self.entry = os.pipe()
        try:
            command = [sys.executable, "-I", "-S", __file__]
            self._process = subprocess.Popen(command, stdin=reading, start_new_session=True)
        finally:
            os.close(reading)
        return self

    def __exit__(self, kind, error, traceback):
        """Without an error, all workers have ended by now, and there is nothing left to guard."""
        if kind is None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self.entry, FAREWELL + b"\n")
        os.close(self.entry)
        self._process.wait()


def main() -> None:
    """Waits until nobody holds the pipe any more."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lines = sys.stdin.buffer.read().split()
    if FAREWELL in lines:
        return
    for group in lines:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)


if __name__ == "__main__":
    main()
