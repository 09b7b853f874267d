"""Runs the body of a command: flags, quiet start, one JSON object last on stdout, exit codes."""

import contextlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable

from absl import app, flags, logging

from tfpar.cluster import is_chief
from tfpar.errors import USER_ERROR_EXIT_CODE, UserError, WorkerLostError, WorkerMissingError


def run_recipe(main: Callable[[], dict]) -> None:
    """Parses flags, runs `main` and prints what it returns as the last line on stdout. Ends the process.

    Everything else that is printed goes to stderr. In a cluster the chief alone prints. Exit codes: 0 done; 2 a wrong
    flag, path or input, with one line on stderr; 1 anything else.
    """
    app.run(lambda _: _run(main), flags_parser=_parse_flags)


def _run(main):
    with contextlib.redirect_stdout(sys.stderr):
        try:
            result = main()
        except UserError as error:
            fail(error)
        except (WorkerLostError, WorkerMissingError) as error:
            fail(error, code=1)
    if is_chief():
        print(json.dumps(result), flush=True)


def _parse_flags(arguments):
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        fail(error)
    for name, value in flags.FLAGS.flag_values_dict().items():
        if isinstance(value, float) and not math.isfinite(value):
            fail(f"flag --{name}={value}: it must be a finite number")
    if len(rest) > 1:
        fail(f"unexpected argument {rest[1]!r}: flags begin with --")
    return rest


def fail(error, code: int = USER_ERROR_EXIT_CODE) -> None:
    """Prints a user's mistake, or another error that needs no traceback, as one line on stderr and ends the process."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(code)


def start_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages.

    They are written by C++ before any logging level is heeded, so standard error is held back while it loads; if it
    fails to load, what it said is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    logging.set_verbosity(logging.WARNING)
    with tempfile.TemporaryFile() as held, _standard_error_to(held):
        try:
            import tensorflow as tf

            tf.config.list_physical_devices("GPU")
        except BaseException:
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise


@contextlib.contextmanager
def _standard_error_to(file):
    """Sends what any code of this process writes to descriptor 2 to `file`; `sys.stderr` goes on to where it went."""
    kept, python_stderr = os.dup(2), sys.stderr
    os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(os.dup(kept), "w", buffering=1)
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = python_stderr
        os.dup2(kept, 2)
        os.close(kept)
