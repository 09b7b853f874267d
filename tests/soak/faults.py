"""Faults that the soak test injects."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

FULL_S = 5.0


class Run:
    """What a fault acts on.

    Args:
        launcher: number of the launcher's process.
        directory: of the run; it has the checkpoints in `model`.
        choices: random numbers.
    """

    def __init__(self, launcher: int, directory: Path, choices: random.Random):
        self.launcher, self.directory, self.choices = launcher, directory, choices

    def workers(self) -> list[int]:
        """Return the numbers of the workers' processes, in the order of the workers."""
        found = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.launcher and "soak/train.py" in Path(f"/proc/{name}/cmdline").read_text():
                    environment = Path(f"/proc/{name}/environ").read_text()
                    found[environment.partition('"index": ')[2][:1]] = int(name)
        return [found[index] for index in sorted(found)]

    def send(self, number: int) -> None:
        """Send a signal to a random worker."""
        os.kill(self.choices.choice(self.workers()), number)


def corrupt_newest_checkpoint(run: Run) -> None:
    """Flip a byte of the newest checkpoint, and end a worker, so that the checkpoint is read."""
    run.send(signal.SIGKILL)
    newest = max((run.directory / "model" / "checkpoints").glob("checkpoint-*"), key=lambda path: path.stat().st_mtime)
    path = run.choices.choice(sorted(path for path in newest.rglob("*") if path.is_file()))
    content = bytearray(path.read_bytes())
    content[run.choices.randrange(len(content))] ^= 1 << run.choices.randrange(8)
    path.write_bytes(content)


def fill_disk(run: Run) -> None:
    """Fill the disk with the checkpoints for some seconds, which is a small one of its own."""
    filler = run.directory / "model" / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    time.sleep(FULL_S)
    filler.unlink()


# Name -> function. Each ends the workers sooner or later, except a full disk, which may end before the next checkpoint.
FAULTS: dict[str, Callable[[Run], None]] = {
    "SIGKILL": lambda run: run.send(signal.SIGKILL),
    "SIGSTOP": lambda run: run.send(signal.SIGSTOP),
    "SIGTERM": lambda run: run.send(signal.SIGTERM),
    "SIGTERM to the launcher": lambda run: os.kill(run.launcher, signal.SIGTERM),
    "dropped connections": lambda run: run.send(signal.SIGUSR1),
    "corrupt newest checkpoint": corrupt_newest_checkpoint,
    "full disk": fill_disk,
}
