"""`tfpar COMMAND ...`: the doors."""

import importlib
import sys

from tfpar.cli.run import fail
from tfpar.errors import UserError

COMMANDS = {
    "launch": "run a command in several workers on this machine",
    "export": "leave a Keras model, or PyTorch's recurrent weights, as SavedModel and TFLite files",
    "predict": "answer for inputs with an exported model",
    "bench": "time tfpar against its peers",
    "verify": "check an export's files against its manifest, and run them",
    "seal": "sign an export, encrypt it, or make keys for that",
    "unseal": "give back the plain export that was sealed",
}

USAGE = "usage: tfpar COMMAND [ARGUMENT ...]\n\n" + "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())


def main() -> None:
    """Entry point of the console script, and of `python -m tfpar`."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "--helpfull"):
        print(USAGE + "\n\nAdd --help to a command to see its arguments.")
        sys.exit(0 if arguments else 2)
    if arguments[0] not in COMMANDS:
        fail(f"unknown command {arguments[0]!r}; it must be one of {', '.join(COMMANDS)}")
    command = importlib.import_module(f"tfpar.cli.{arguments[0]}")
    try:
        command.main(arguments[1:])
    except UserError as error:
        fail(error)
