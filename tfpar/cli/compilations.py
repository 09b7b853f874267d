"""Counts the programs that XLA compiles in this process."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_FLAG = "--tf_xla_persistent_cache_directory="


def count_compilations() -> Callable[[], int]:
    """Begins to count; call it before TensorFlow starts.

    TensorFlow tells nobody how often it compiled, but it can keep each program in a file, so that the next process need
    not compile it. The files are counted: those that TensorFlow writes to a directory of this process's own or, if the
    user keeps programs by this flag in TF_XLA_FLAGS, those that are new there.

    Returns:
        A function that returns how many programs were compiled so far, each replica's own among them.
    """
    given = os.environ.get("TF_XLA_FLAGS", "").split()
    kept = [flag.removeprefix(_FLAG) for flag in given if flag.startswith(_FLAG)]
    # Held by the function below: it is removed when the process ends.
    own = None if kept else tempfile.TemporaryDirectory(prefix="tfpar-xla-")
    if own:
        os.environ["TF_XLA_FLAGS"] = " ".join([*given, _FLAG + own.name])

    def programs() -> set[str]:
        return {path.name for path in Path(own.name if own else kept[-1]).glob("*.pb")}

    before = programs()
    return lambda: len(programs() - before)
