"""How much memory a program holds."""

import ctypes
import threading
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_EVERY_S = 1e-3


def resident_bytes() -> int | None:
    """Memory of this process that is its own and in use, without what is mapped from files, such as a framework's code.

    What the C library keeps for later is given back before, where it can do that. None where the system does not tell,
    which Linux does.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        pass
    return _anonymous_bytes()


def peak_resident_bytes(step: Callable[[], object], steps: int) -> int | None:
    """The most that is resident while a step runs, looked at again and again from another thread; None as above."""
    seen, ended = [resident_bytes()], threading.Event()
    if seen[0] is None:
        return None

    def watch():
        while not ended.wait(_EVERY_S):
            seen.append(_anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(steps):
            step()
    finally:
        ended.set()
        watcher.join()
    return max(seen)


def _anonymous_bytes():
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), None)
