"""Runs the body of a recipe: flags, quiet start, one JSON object last on stdout, exit codes."""

import contextlib
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable

from absl import app, flags, logging

from tfpar.checks import did_you_mean
from tfpar.cli.exits import exit_cleanly, fail
from tfpar.cli.json_result import find_non_finite, print_json
from tfpar.cluster import is_chief
from tfpar.errors import DivergedError

_HELP_FLAGS = ("--help", "-help", "-h", "-?", "--helpshort", "--helpfull", "-helpfull")
# What absl passes on from Python, in words for users.
_PLAIN = {
    r"invalid literal for int\(\).*": "it must be a whole number",
    r"could not convert string to float.*": "it must be a number",
    r"\('Non-boolean argument.*": "it must be true or false",
    r"^ERROR:: ": "",
}


def run_recipe(main: Callable[[], dict], choose_defaults: Callable[[], None] = lambda: None) -> None:
    """Parse flags, run `main` and print what it returns as the last line on stdout. Ends the process.

    Everything else that is printed goes to stderr. In a cluster the chief alone prints. Exit codes: see
    `tfpar.cli.exits.exit_cleanly`.

    Args:
        main: the recipe.
        choose_defaults: function that sets the defaults which depend on other flags. It is called when these are
            parsed, for --help, too.
    """
    with exit_cleanly():
        app.run(lambda _: _run(main), flags_parser=lambda arguments: _parse_flags(arguments, choose_defaults))


def _run(main):
    with contextlib.redirect_stdout(sys.stderr):
        result = main()
        if found := find_non_finite(result):
            raise DivergedError(found)
    if is_chief():
        print_json(result)


def _parse_flags(arguments, choose_defaults):
    asked = [argument for argument in _before_separator(arguments) if argument in _HELP_FLAGS]
    try:
        rest = flags.FLAGS([argument for argument in arguments if argument not in asked])
        _check_finite()
        choose_defaults()
    except flags.Error as error:
        fail(_improve(str(error)))
    if asked:
        _print_help(every_flag="full" in asked[-1])
        sys.exit()
    if len(rest) > 1:
        fail(f"unexpected argument {rest[1]!r}: flags begin with --")
    return rest


def _before_separator(arguments):
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _check_finite():
    for name, value in flags.FLAGS.flag_values_dict().items():
        if isinstance(value, float) and not math.isfinite(value):
            fail(f"flag --{name}={value}: it must be a finite number")


def _improve(message):
    """The message of a wrong flag in plain words, with the closest of its choices."""
    for python, plain in _PLAIN.items():
        message = re.sub(python, plain, message)
    flag = re.match(r"flag --(\w+)=(.*?): ", message)
    choices = getattr(flags.FLAGS[flag[1]].parser, "enum_values", ()) if flag and flag[1] in flags.FLAGS else ()
    return message + did_you_mean(flag[2], choices) if choices else message


def _print_help(every_flag):
    if every_flag:
        app.usage(writeto_stdout=True)
    else:
        app.usage(shorthelp=True, writeto_stdout=True)
        print("\nDefaults are those that hold with the flags given. --helpfull lists the flags of absl, too.")


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
        except Exception:
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
