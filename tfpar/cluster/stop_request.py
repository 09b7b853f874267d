"""Stop requests: SIGTERM (preemption) and Ctrl-C end a run so that the same command continues it.

Training stops between two steps, and all workers between the same two, whichever of them received the signal:
`tfpar.train` sums over all workers, within each step, whether there is a request.

A callback that saves checkpoints uses

    begin_steps()    when training begins: from now on a request waits for the end of a step
    is_agreed()      after each batch of training; once it is true, on all workers after the same batch, the callback
                     saves and calls
    stop()           which ends the program with exit code 3
    is_urgent()      after each batch of validation: whether, on all workers, it takes too long to wait for its end
    end_steps()      when training ends and its result is saved: a request that came too late ends the program now

Elsewhere, within `handled()`, a request ends the program at once with exit code 3. A second signal ends it without
waiting. If no step ends within `LIMIT_S`, as in a long compilation, a thread ends the program with exit code 3, and the
command continues from the last checkpoint.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

from tfpar.cluster.tf_config import read_tf_config
from tfpar.errors import STOPPED_EXIT_CODE

LIMIT_S = 15.0
# A validation that takes longer after a request is not waited for.
VALIDATION_S = 8.0
URGENT = 1e4  # number of requests that stands for one that is urgent, above any number of replicas
SIGNALS = (signal.SIGTERM, signal.SIGINT)

_handler: "_Handler | None" = None
_is_deferred = False
_is_agreed = _is_urgent = False


@contextlib.contextmanager
def handled(limit_s: float = LIMIT_S) -> Iterator[None]:
    """Within this context SIGTERM and SIGINT are stop requests. It does nothing outside of the main thread.

    Args:
        limit_s: longest wait for the end of a step.
    """
    global _handler
    if _handler is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _handler = _Handler(limit_s)
    try:
        yield
    finally:
        handler, _handler = _handler, None
        if handler is not None:
            handler.close()


def is_requested() -> bool:
    """Return whether this process has been told to stop."""
    return _handler is not None and _handler.received is not None


def count_requests() -> float:
    """Return 1 if this process has been told to stop, `URGENT` if that was some time ago, else 0."""
    if _handler is None or _handler.received is None:
        return 0.0
    return URGENT if time.monotonic() - _handler.received_s > VALIDATION_S else 1.0


def is_agreed() -> bool:
    """Return whether all workers know of a request: on each of them true after the same step."""
    return _is_agreed if _is_one_of_several() else is_requested()


def is_urgent() -> bool:
    """Return whether all workers know of a request that can wait no longer: on each true after the same step."""
    return _is_urgent if _is_one_of_several() else count_requests() >= URGENT


def record_agreement(requests: float) -> None:
    """Note the sum of `count_requests` over all replicas in a step: called on each worker with the same number."""
    global _is_agreed, _is_urgent
    _is_agreed, _is_urgent = _is_agreed or requests > 0, _is_urgent or requests >= URGENT


def _is_one_of_several() -> bool:
    config = read_tf_config()
    return config is not None and len(config.workers) > 1


def begin_steps() -> None:
    """Let requests wait for the end of a step, and handle signals if `handled` does not yet do so."""
    global _handler, _is_deferred, _is_agreed, _is_urgent
    _is_deferred, _is_agreed, _is_urgent = True, False, False
    if _handler is None and threading.current_thread() is threading.main_thread():
        _handler = _Handler(LIMIT_S, ends_with_steps=True)


def end_steps() -> None:
    """Let requests no longer wait.

    Raises:
        SystemExit: there was a request.
    """
    is_late = is_requested()
    abandon_steps()
    if is_late:
        stop()


def abandon_steps() -> None:
    """Let requests no longer wait, since training has failed for another reason."""
    global _handler, _is_deferred
    _is_deferred = False
    if _handler is not None and _handler.ends_with_steps:
        handler, _handler = _handler, None
        handler.close()


def stop() -> NoReturn:
    """End the program with exit code 3, and one line on standard error.

    Raises:
        SystemExit: always.
    """
    received = _handler.received if _handler is not None else None
    _print_reason(received, "")
    raise SystemExit(STOPPED_EXIT_CODE)


class _Handler:
    """Handler of the signals, and a thread that limits the wait.

    Python's handlers run in the main thread between two bytecodes, and not while that thread compiles. The thread reads
    the signals' numbers from a pipe, to which Python writes them at once.
    """

    def __init__(self, limit_s: float, ends_with_steps: bool = False):
        self.received: int | None = None
        self.received_s = 0.0
        self.ends_with_steps = ends_with_steps
        self._limit_s = limit_s
        self._closed = threading.Event()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._former_wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, self._handle) for number in SIGNALS}
        threading.Thread(target=self._limit_wait, name="stop request", daemon=True).start()

    def close(self) -> None:
        """Restore the former handlers."""
        self._closed.set()
        for number, former in self._former.items():
            signal.signal(number, former)
        signal.set_wakeup_fd(self._former_wakeup)
        os.close(self._writing)

    def _handle(self, number, frame):
        if self.received is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received, self.received_s = number, time.monotonic()
        if not _is_deferred:
            stop()

    def _limit_wait(self):
        with os.fdopen(self._reading, "rb", buffering=0) as pipe:
            while numbers := pipe.read(64):
                received = [number for number in numbers if number in SIGNALS]
                if received and not self._closed.wait(self._limit_s):
                    _print_reason(received[0], f", though no step ended within {self._limit_s:g} s")
                    os._exit(STOPPED_EXIT_CODE)


def _print_reason(received: int | None, detail: str) -> None:
    cause = f"by {signal.Signals(received).name}" if received is not None else "with the other workers"
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"stopped {cause}{detail}; the same command continues from the last checkpoint\n")
        sys.stderr.flush()
