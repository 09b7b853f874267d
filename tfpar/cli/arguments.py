"""Arguments of the `tfpar` commands."""

import argparse

from tfpar.cli.run import fail
from tfpar.export.keys import read_encryption_key, read_public_key


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and exits with code 2."""

    def error(self, message):
        fail(f"{message}; see {self.prog} --help")


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Adds the keys that a sealed export is opened with."""
    parser.add_argument("--public_key", metavar="FILE.pem", help="refuse an export that this key has not signed")
    parser.add_argument("--encryption_key", metavar="file:PATH|env:NAME", help="of an encrypted export")


def given_keys(options: argparse.Namespace) -> dict:
    """Reads the keys that `add_keys` asked for; returns them as arguments of `tfpar.export.Bundle`."""
    return {
        "encryption_key": read_encryption_key(options.encryption_key) if options.encryption_key is not None else None,
        "public_key": read_public_key(options.public_key) if options.public_key is not None else None,
    }
