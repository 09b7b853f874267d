"""The commands `tfpar ...`, and what recipes share as commands.

Importing it makes an interrupt that nothing catches, such as one while imports go on, one line instead of a traceback.
"""

import sys


def _hide_traceback_of_interrupt(kind, error, traceback, previous=sys.excepthook):
    if issubclass(kind, KeyboardInterrupt):
        print("error: interrupted", file=sys.stderr)
    else:
        previous(kind, error, traceback)


sys.excepthook = _hide_traceback_of_interrupt
