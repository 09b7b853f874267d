"""Parses commands with their own parsers, without running them; prints a list of error messages as JSON.

Usage: python parse_commands.py < LIST_OF_ARGUMENT_LISTS. Each command is parsed in a process of its own.
"""

import argparse
import json
import os
import runpy
import sys
import tempfile
import traceback
from importlib import import_module
from importlib.util import find_spec

from documents import ROOT


class Parsed(BaseException):
    """The arguments are right. No handler of exceptions catches it."""


def parse_known_arguments(self, *args, parse=argparse.ArgumentParser.parse_known_args, **kwargs):
    """Parse, refuse what is left over, and stop the command."""
    _, rest = parse(self, *args, **kwargs)
    if rest:
        self.error(f"unrecognized arguments: {rest}")
    raise Parsed


def parse(arguments: list[str]) -> None:
    """Parse one command; it ends by SystemExit or another error if it is wrong."""
    if arguments[0] == "tfpar":
        parse_tfpar(arguments[1:])
    else:
        parse_recipe(arguments[1:])


def parse_tfpar(arguments):
    from tfpar.cli import main

    if "--" in arguments:
        command = arguments[arguments.index("--") + 1 :]
        if command[1].startswith("recipes/"):
            parse_recipe(command[1:])
    sys.argv = ["tfpar", *arguments]
    argparse.ArgumentParser.parse_known_args = parse_known_arguments
    try:
        main.main()
    except Parsed:
        return


def parse_recipe(arguments):
    from absl import app

    def parse_flags(main, argv=None, flags_parser=None):
        flags_parser(sys.argv)
        raise Parsed

    sys.argv, app.run = arguments, parse_flags
    try:
        runpy.run_path(str(ROOT / arguments[0]), run_name="__main__")
    except Parsed:
        return


def error_of(arguments: list[str]) -> str | None:
    """Parse in a forked process; return None or what it printed."""
    if arguments[0] == "tfpar" and find_spec(f"tfpar.cli.{arguments[1]}"):
        import_module(f"tfpar.cli.{arguments[1]}")  # once, not in each process
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            code = 1
            try:
                parse(arguments)
                code = 0
            except SystemExit as end:
                code = 0 if not end.code else 1
                if isinstance(end.code, str):
                    print(end.code)
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return output.read()[-2000:] if status else None


if __name__ == "__main__":
    print(json.dumps([error_of(arguments) for arguments in json.load(sys.stdin)]))
