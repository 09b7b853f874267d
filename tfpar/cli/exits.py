"""Exit codes of commands; errors of the user, Ctrl-C and closed pipes print at most one line."""

import contextlib
import errno
import os
import select
import signal
import sys
import threading

from tfpar.errors import USER_ERROR_EXIT_CODE, DivergedError, UserError, WorkerLostError, WorkerMissingError

FAILED_EXIT_CODE = 1
INTERRUPTED_EXIT_CODE = 128 + signal.SIGINT
# Errors of the operating system that a user can correct: another path, other permissions, more space.
_PATH_ERRORS = {
    getattr(errno, name)
    for name in (
        "EACCES EPERM ENOENT EISDIR ENOTDIR ENAMETOOLONG ELOOP EROFS ENOSPC EDQUOT ENXIO ENOTEMPTY EEXIST"
    ).split()
    if hasattr(errno, name)
}


@contextlib.contextmanager
def exit_cleanly():
    """Convert exceptions to exit codes: 2 an error of the user, 130 Ctrl-C, 1 a closed pipe or a failed run.

    Code 3, of a run that the same command continues, is a `SystemExit` of `tfpar.cluster.stop_request`. Any other
    exception propagates, because it is a bug and its traceback is needed.
    """
    interrupts = _note_interrupts()
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except UserError as error:
        fail(error)
    except (WorkerLostError, WorkerMissingError, DivergedError) as error:
        fail(error, code=FAILED_EXIT_CODE)
    except KeyboardInterrupt:
        _end_interrupted()
    except BrokenPipeError:
        if not _silence_closed_pipes():
            raise
        sys.exit(FAILED_EXIT_CODE)
    except Exception as error:
        if interrupts:  # interrupted C++ code raises errors of its own
            _end_interrupted()
        if not isinstance(error, OSError) or error.errno not in _PATH_ERRORS or error.filename is None:
            raise
        fail(f"{os.fsdecode(error.filename)}: {error.strerror}")


def _note_interrupts() -> list[int]:
    """Return a list that records each later Ctrl-C, which still raises KeyboardInterrupt."""
    interrupts = []

    def note(number, frame):
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)
    return interrupts


def _end_interrupted():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the clean-up
    fail("interrupted", code=INTERRUPTED_EXIT_CODE)


def fail(error: object, code: int = USER_ERROR_EXIT_CODE) -> None:
    """Print an error as one line on stderr and end the process."""
    with contextlib.suppress(BrokenPipeError):
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    _silence_closed_pipes()
    sys.exit(code)


def _silence_closed_pipes() -> bool:
    """Redirect stdout and stderr to the null device if a reader closed either; return whether one did."""
    streams = (1, 2)
    if not any(map(_is_closed_pipe, streams)):
        return False
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in streams:
        os.dup2(null, descriptor)
    return True


def _is_closed_pipe(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))
