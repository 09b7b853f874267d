"""`tfpar launch --workers N -- COMMAND ...`: runs a cluster on this machine."""

import math
import os
import signal
import sys
from argparse import ArgumentTypeError

from tfpar.cli.arguments import Parser
from tfpar.cli.exits import fail
from tfpar.errors import UserError

DESCRIPTION = """
Runs COMMAND in N processes, each with its own TF_CONFIG that lists all of them. Their output goes to stderr, each line
prefixed by the worker's name. The last line on the stdout of worker 0, the chief, is printed to stdout when all have
ended. If one fails or hangs, all are stopped; with --max_restarts they are started again, and COMMAND continues from
its last checkpoint. Exit codes: 0 done, 2 a user error, 3 stopped by a signal after a checkpoint, else that of the
first worker that failed, or 128 plus the number of the signal.
"""


def main(arguments: list[str]) -> None:
    """Launch the workers; end the process with their exit code."""
    try:
        sys.exit(_launch(arguments))
    except KeyboardInterrupt:  # before the launcher handles signals, or after
        fail("stopped by SIGINT", code=128 + signal.SIGINT)


def _launch(arguments):
    if os.name != "posix":
        raise UserError("tfpar launch needs Linux or macOS")
    from tfpar.cluster.launcher import Limits, launch  # needs Unix to be imported
    from tfpar.cluster.launcher.console import Console

    ours, command = _split(arguments)
    parser = _parser(Limits())
    options, rest = parser.parse_known_args(ours)
    if rest:
        parser.error(f"unexpected argument {rest[0]!r}: the command follows --")
    limits = Limits(options.start_timeout_s, options.finish_timeout_s, options.grace_s, options.hang_timeout_s)
    outcome = launch(
        command, options.workers, options.cores_per_worker, limits, options.gpus_per_worker, options.max_restarts
    )
    if outcome.result is None:
        return outcome.exit_code
    console = Console(sys.stdout.buffer)
    console.line(outcome.result)
    console.flush()
    return 128 + signal.SIGPIPE if console.is_broken else outcome.exit_code


def _parser(defaults):
    parser = Parser(
        prog="tfpar launch",
        usage="tfpar launch --workers N [OPTION ...] -- COMMAND ...",
        description=DESCRIPTION,
        allow_abbrev=False,
    )
    parser.add_argument("--workers", type=_count, required=True, metavar="N", help="number of processes")
    parser.add_argument(
        "--cores_per_worker", type=_count, metavar="K", help="bind each to K cores (default: all cores, divided evenly)"
    )
    parser.add_argument("--gpus_per_worker", type=_count, metavar="K", help="GPUs that each uses alone (default: all)")
    parser.add_argument(
        "--max_restarts",
        type=_count_or_zero,
        default=0,
        metavar="R",
        help="how often all are started again after a failure (default: 0)",
    )

    def add_limit(name, default, text):
        default_text = "no limit" if default is None else "%(default)g"
        parser.add_argument(name, type=_seconds, default=default, metavar="S", help=f"{text} (default: {default_text})")

    add_limit("--start_timeout_s", defaults.start_s, "time limit for all workers to listen on their ports")
    add_limit("--finish_timeout_s", defaults.finish_s, "time limit for all workers to end after the chief")
    add_limit("--grace_s", defaults.grace_s, "from SIGTERM to SIGKILL, when workers are stopped")
    add_limit("--hang_timeout_s", defaults.hang_s, "time limit of workers that end no step and use no CPU")
    return parser


def _split(arguments):
    """Split arguments at the first --."""
    if "--" not in arguments:
        return arguments, []
    index = arguments.index("--")
    return arguments[:index], arguments[index + 1 :]


def _count(text):
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArgumentTypeError(f"it must be an integer from 1; got {text!r}")
    return int(text)


def _count_or_zero(text):
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"it must be an integer from 0; got {text!r}")
    return int(text)


def _seconds(text):
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ArgumentTypeError(f"it must be a number of seconds, from 0; got {text!r}")
    return seconds
