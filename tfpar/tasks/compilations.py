"""Count the programs that XLA compiles in this process."""

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_FLAG = "--tf_xla_persistent_cache_directory="


def count_compilations() -> Callable[[], int]:
    """Start to count compiled programs; call it before TensorFlow starts.

    TensorFlow has no counter, but it can write each program to a file, so that the next process need not compile it.
    The files are counted: those in a temporary directory of this process or, if TF_XLA_FLAGS names a directory, the new
    ones there. TensorFlow reads TF_XLA_FLAGS once: where it started before the first call, the count stays 0.

    Returns:
        A function that returns the number of programs compiled so far, including those of each replica.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "").split()
    directories = [flag.removeprefix(_FLAG) for flag in flags if flag.startswith(_FLAG)]
    if not directories:
        directories = [_temporary_directory().name]
        os.environ["TF_XLA_FLAGS"] = " ".join([*flags, _FLAG + directories[0]])

    def programs() -> set[str]:
        return {path.name for path in Path(directories[-1]).glob("*.pb")}

    before = programs()
    return lambda: len(programs() - before)


@functools.cache
def _temporary_directory():
    """Return a directory that is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="tfpar-xla-")
