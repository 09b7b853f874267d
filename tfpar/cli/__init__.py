"""The commands `tfpar ...`, and the command-line interface of recipes.

Importing this package replaces the traceback of an uncaught interrupt, such as one during imports, by one line.
"""

import sys


def _hide_traceback_of_interrupt(kind, error, traceback, previous=sys.excepthook):
    if issubclass(kind, KeyboardInterrupt):
        print("error: interrupted", file=sys.stderr)
    else:
        previous(kind, error, traceback)


sys.excepthook = _hide_traceback_of_interrupt
