"""Measures the memory of this process."""

import ctypes
import threading
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_INTERVAL_S = 1e-3


def resident_bytes() -> int | None:
    """Measure the anonymous resident memory of this process, which excludes mapped files, such as shared libraries.

    The C library's free memory is returned to the system first, if possible.

    Returns:
        Bytes; None on systems other than Linux.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        pass
    return _anonymous_bytes()


def peak_resident_bytes(step: Callable[[], object], steps: int) -> int | None:
    """Measure the peak of `resident_bytes` during some steps, by polling in another thread."""
    before, ended = resident_bytes(), threading.Event()
    if before is None:
        return None
    samples: list[int] = [before]

    def watch():
        while not ended.wait(_INTERVAL_S):
            samples.append(_anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(steps):
            step()
    finally:
        ended.set()
        watcher.join()
    return max(samples)


def _anonymous_bytes():
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), None)
