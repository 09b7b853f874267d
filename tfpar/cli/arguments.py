"""Arguments of the `tfpar` commands."""

import argparse

from tfpar.cli.run import fail


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and exits with code 2."""

    def error(self, message):
        fail(f"{message}; see {self.prog} --help")
