"""Hides messages that C++ libraries write to standard error."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from tfpar.errors import UserError


@contextlib.contextmanager
def hide_native_stderr() -> Iterator[None]:
    """Hide what native code writes to descriptor 2; `sys.stderr` still goes to standard error.

    TensorFlow and LiteRT print messages about their start regardless of any logging level. If the body raises an error
    that is not the user's, the hidden messages are printed, since they may explain it.
    """
    stderr_copy, python_stderr = os.dup(2), sys.stderr
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        sys.stderr = os.fdopen(os.dup(stderr_copy), "w", buffering=1)
        try:
            yield
        except Exception as error:
            if not isinstance(error, UserError):
                hidden.seek(0)
                sys.stderr.write(hidden.read().decode(errors="replace"))
            raise
        finally:
            sys.stderr.close()
            sys.stderr = python_stderr
            os.dup2(stderr_copy, 2)
            os.close(stderr_copy)
