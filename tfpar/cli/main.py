"""The entry point of the command line, `tfpar COMMAND ...`."""

import importlib
import sys

from tfpar import __version__
from tfpar.checks import did_you_mean
from tfpar.cli.exits import exit_cleanly, fail

COMMANDS = {
    "launch": "run a command in several workers on this machine",
    "export": "export a Keras model, or PyTorch's recurrent weights, as SavedModel and TFLite files",
    "predict": "predict for inputs with an exported model",
    "evaluate": "measure an exported model on labeled data",
    "bench": "compare the speed of tfpar with other frameworks",
    "verify": "check an export's files against its manifest, and run them",
    "seal": "sign or encrypt an export, or generate keys",
    "unseal": "restore the plain export that was sealed",
    "info": "print versions, cores, GPUs and installed extras",
}

USAGE = (
    "usage: tfpar COMMAND [ARGUMENT ...]\n       tfpar --version\n\n"
    + "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    + "\n\nAdd --help to a command to see its arguments."
)


def main() -> None:
    """Run the console script, or `python -m tfpar`."""
    with exit_cleanly():
        _run(sys.argv[1:])


def _run(arguments):
    if not arguments or arguments[0] in ("-h", "--help", "--helpfull"):
        print(USAGE)
        sys.exit(0 if arguments else 2)
    if arguments[0] in ("-V", "--version"):
        print(f"tfpar {__version__}")
        return
    name = arguments[0]
    if name not in COMMANDS:
        options = ("--version", "--help") if name.startswith("-") else ()
        choices = (*COMMANDS, *options)
        fail(f"unknown command {name!r}; it must be one of {', '.join(COMMANDS)}{did_you_mean(name, choices)}")
    importlib.import_module(f"tfpar.cli.{name}").main(arguments[1:])
