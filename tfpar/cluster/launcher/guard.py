"""Kills the workers if the launcher is killed by a signal that it cannot handle, and removes their temporary files.

A separate process waits for the end of a pipe whose other end the launcher holds: however the launcher ends, the kernel
closes it. Unlike a parent-death signal this reaches whole process groups, with the workers' children, on any Unix.
Workers register before they execute the user's command, so that none can be missed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile

DONE = b"done"


class Guard:
    """Context manager around the workers' lives.

    Attributes:
        registration: descriptor to which workers write their process group.
        directory: for the workers' temporary files; it is removed with all that is in it once they have ended.
    """

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="tfpar-")
        reading, self.registration = os.pipe()
        try:
            command = [sys.executable, "-I", "-S", __file__, self.directory]
            self._process = subprocess.Popen(command, stdin=reading, start_new_session=True)
        finally:
            os.close(reading)
        return self

    def __exit__(self, kind, error, traceback):
        """Dismiss the guard unless there is an error: without one, all workers have ended."""
        if kind is None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self.registration, DONE + b"\n")
        os.close(self.registration)
        self._process.wait()


def main() -> None:
    """Wait until the pipe is closed, kill the registered groups unless the guard was dismissed, and remove the files.

    `sys.argv` names the directory.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lines = sys.stdin.buffer.read().split()
    if DONE not in lines:
        for group in lines:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(group), signal.SIGKILL)
    import shutil  # here: it would delay the start

    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
