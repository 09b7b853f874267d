"""Run the body of a recipe: flags, quiet start, one JSON object last on stdout, exit codes."""

import contextlib
import math
import re
import sys
from collections.abc import Callable

from absl import app, flags

from tfpar.checks import did_you_mean, find_non_finite
from tfpar.cli.exits import exit_cleanly, fail
from tfpar.cli.json_result import print_json
from tfpar.cluster import is_chief
from tfpar.errors import DivergedError

_HELP_FLAGS = ("--help", "-help", "-h", "-?", "--helpshort", "--helpfull", "-helpfull")
# Messages of Python that absl shows, and their replacements.
_PLAIN = {
    r"invalid literal for int\(\).*": "it must be a whole number",
    r"could not convert string to float.*": "it must be a number",
    r"\('Non-boolean argument.*": "it must be true or false",
    r"^ERROR:: ": "",
}


def run_recipe(main: Callable[[], dict], choose_defaults: Callable[[], object] = lambda: None) -> None:
    """Parse flags, run `main` and print what it returns as the last line on stdout. Ends the process.

    All other output goes to stderr. In a cluster only the chief prints the result. Exit codes: see
    `tfpar.cli.exits.exit_cleanly`.

    Args:
        main: the recipe.
        choose_defaults: sets the defaults that depend on other flags; called after these are parsed, also for --help.
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
    requested = [argument for argument in _before_separator(arguments) if argument in _HELP_FLAGS]
    try:
        rest = flags.FLAGS([argument for argument in arguments if argument not in requested])
        _check_finite()
        choose_defaults()
    except flags.Error as error:
        fail(_improve(str(error)))
    if requested:
        _print_help(every_flag="full" in requested[-1])
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
    """Return the message of a wrong flag in plain words, with the closest of its choices."""
    for python, plain in _PLAIN.items():
        message = re.sub(python, plain, message)
    flag = re.match(r"flag --(\w+)=(.*?): ", message)
    if flag is None or flag[1] not in flags.FLAGS:
        return message
    choices = getattr(flags.FLAGS[flag[1]].parser, "enum_values", ())
    return message + did_you_mean(flag[2], choices) if choices else message


def _print_help(every_flag):
    if every_flag:
        app.usage(writeto_stdout=True)
    else:
        app.usage(shorthelp=True, writeto_stdout=True)
        print("\nDefaults are those that hold with the flags given. --helpfull lists the flags of absl, too.")
