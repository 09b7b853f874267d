"""Runs the rest of a command in a child process, because LiteRT may crash on a file of unknown origin."""

import contextlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from tfpar.cli.exits import exit_cleanly, fail

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPT_CHECKS, _INTERRUPT_CHECK_S = 20, 0.05


def run_in_child(run: Callable[[], None], subject: str) -> None:
    """Run the rest of a command, `run()`, in a fork of this process, and end with its exit code if it is not 0.

    If a signal has killed the child, one line names it, and what native code wrote to stderr is discarded. Call this
    before threads start. On systems without fork `run()` is called here.

    Args:
        run: ends as a command does: it returns, or raises what `exit_cleanly` converts.
        subject: the files that are run, for the message.
    """
    if not hasattr(os, "fork"):
        return run()
    sys.stdout.flush()
    stderr = tempfile.TemporaryFile()
    former_handler = signal.signal(signal.SIGCHLD, lambda number, frame: None)  # an ignored one would not be awaited
    former_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *_FORWARDED})
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, former_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, former_mask)
        _forbid_core_dumps()
        os.dup2(stderr.fileno(), 2)
        _end_after(run)
    status = _wait(child)
    signal.signal(signal.SIGCHLD, former_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, former_mask)
    if os.WIFSIGNALED(status):
        _end_like(os.WTERMSIG(status), subject)
    _print_stderr(stderr)
    if code := os.WEXITSTATUS(status):
        sys.exit(code)


def _end_after(run: Callable[[], None]) -> NoReturn:
    """Run and end this process, whatever the caller's process would do next."""
    code = 1
    if callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # `exit_cleanly` notes interrupts of this process
    try:
        with exit_cleanly():
            run()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)


def _wait(child: int) -> int:
    """Wait for the child, and forward signals to it; return its status."""
    while True:
        number = signal.sigwait({signal.SIGCHLD, *_FORWARDED})
        # Ctrl-C on a terminal reaches the child, too; a second one could interrupt its clean-up.
        for _ in range(_INTERRUPT_CHECKS if number == signal.SIGINT else 1):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status
            if number == signal.SIGINT:
                time.sleep(_INTERRUPT_CHECK_S)
        if number != signal.SIGCHLD:
            os.kill(child, number)


def _end_like(number: int, subject: str) -> None:
    """End the process as the child ended, which the signal `number` killed."""
    if number in _FORWARDED:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    fail(
        f"the interpreter crashed ({name}) on {subject}: a file is damaged or malicious, or memory ran out. Get the "
        "export again from its source"
    )


def _forbid_core_dumps():
    """Prevent a core dump, which could contain a decrypted model."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _print_stderr(file):
    file.seek(0)
    content = file.read()
    with contextlib.suppress(BrokenPipeError):
        while content:
            content = content[os.write(2, content) :]
