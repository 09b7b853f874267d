"""Finds the user's command on this machine."""

import os
import shutil
import sys
from collections.abc import Sequence

from tfpar.errors import UserError


def find_command(command: Sequence[str]) -> list[str]:
    """Replace the program's name by its path; a bare `python` is this interpreter.

    Raises:
        UserError: there is no command, no such program, or it cannot be run.
    """
    if not command or not command[0]:
        raise UserError("no command to launch; it follows --, as in: tfpar launch --workers 2 -- python train.py")
    program, *arguments = command
    if program in ("python", "python3") and sys.executable:
        return [sys.executable, *arguments]
    path = shutil.which(program)
    if path:
        return [path, *arguments]
    if os.path.isdir(program):
        raise UserError(f"the command {program!r} is a directory")
    if os.path.exists(program):
        remedy = "" if os.sep in program else f", as in ./{program}"
        raise UserError(f"the command {program!r} is not executable; name the program that runs it{remedy}")
    raise UserError(f"the command {program!r} was not found")
