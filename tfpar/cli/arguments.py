"""Arguments of the `tfpar` commands."""

import argparse
import contextlib
import os
import re
from collections.abc import Iterator

from tfpar.checks import did_you_mean
from tfpar.cli.exits import fail
from tfpar.errors import UserError

PUBLIC_KEY_VARIABLE = "TFPAR_PUBLIC_KEY"  # path of the key that devices pin for all their exports


class Parser(argparse.ArgumentParser):
    """Parser that reports a mistake in one line, with the closest choice, and exits with code 2."""

    def parse_args(self, args=None, namespace=None):
        """Parse the arguments, in any order; refuse unknown ones."""
        options, rest = self.parse_known_args(args, namespace)
        if rest and not rest[0].startswith("-"):  # positional arguments on both sides of an option
            options, rest = self.parse_known_intermixed_args(args, namespace)
        if rest:
            self.error(f"unknown argument {rest[0]}{self._closest_flag(rest[0])}")
        return options

    def error(self, message):
        """End the process with one line on stderr."""
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        closest = did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2])) if choice else ""
        fail(f"{message}{closest}; see {self.prog} --help")

    def name_flags(self, message: str) -> str:
        """Replace arguments of Python functions in a message, such as `split`, by the flags of the same name."""
        flags = {flag.removeprefix("--"): flag for flag in self._option_string_actions if flag.startswith("--")}
        return re.sub(r"`(\w+)`", lambda match: flags.get(match[1], match[0]), message)

    @contextlib.contextmanager
    def naming_flags(self) -> Iterator[None]:
        """Apply `name_flags` to the message of a UserError that the body raises."""
        try:
            yield
        except UserError as error:
            error.args = (self.name_flags(str(error)),)
            raise

    def _closest_flag(self, argument):
        return did_you_mean(argument.partition("=")[0], re.findall(r"--\w+", self.format_usage()))


def add_dialect(parser: argparse.ArgumentParser) -> None:
    """Add the encoding and the delimiter of csv: and tsv: files."""
    parser.add_argument("--encoding", default="utf-8", help="of csv: and tsv:, such as cp1252; default: %(default)s")
    parser.add_argument("--delimiter", default="", help=r"of csv: and tsv:, such as ';' or '\t'; default: comma, tab")


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Add the keys for a sealed export."""
    parser.add_argument(
        "--public_key",
        metavar="FILE.pem",
        help=f"refuse an export that this key has not signed; default: ${PUBLIC_KEY_VARIABLE}. Sealed exports need it",
    )
    parser.add_argument("--allow_unsigned", action="store_true", help="use an export that the key has not signed")
    parser.add_argument("--encryption_key", metavar="file:PATH|env:NAME", help="of an encrypted export")


def read_keys(options: argparse.Namespace) -> dict:
    """Read the keys of `add_keys`; return them as keyword arguments of `tfpar.export.Bundle`."""
    from tfpar.export.bundle.keys import read_encryption_key, read_public_key

    public_key = options.public_key if options.public_key is not None else os.environ.get(PUBLIC_KEY_VARIABLE)
    return {
        "encryption_key": read_encryption_key(options.encryption_key) if options.encryption_key is not None else None,
        "public_key": read_public_key(public_key) if public_key else None,
        "allow_unsigned": options.allow_unsigned,
    }
