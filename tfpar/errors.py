"""The errors that tfpar raises on purpose."""

USER_ERROR_EXIT_CODE = 2


class UserError(ValueError):
    """A mistake that the user can mend: a wrong flag, path, column or file.

    Commands print its message as one line on stderr and exit with code 2; no traceback is shown. The message says which
    argument was wrong, what was expected, what came, and what to do.
    """


class RefusedFileError(UserError):
    """An exported file is not good enough to be written.

    Args:
        message: what is wrong, and the remedy.
        figures: what was measured, for the report.
    """

    def __init__(self, message: str, figures: dict | None = None):
        self.figures = dict(figures or {})
        super().__init__(message)


class MissingExtraError(UserError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: name of the missing distribution, as pip knows it.
        extra: the extra of tfpar that holds it.
        purpose: what it is needed for, as the end of "needed ...".
    """

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{package} is not installed; it is needed {purpose}. Run: pip install 'tfpar[{extra}]'")


class ChangedFileError(UserError):
    """A file of an export is not the one that was exported.

    Args:
        name: its path in the export.
        why: how that came to light.
    """

    def __init__(self, name: str, why: str):
        self.name = name
        super().__init__(f"{name} was changed: {why}; get the export again from where it was made")


class WorkerMissingError(RuntimeError):
    """Workers of the cluster did not come in time.

    Args:
        workers: address of each missing worker, by its index.
        timeout_s: how long they were waited for.
    """

    def __init__(self, workers: dict[int, str], timeout_s: float):
        self.workers = dict(workers)
        self.timeout_s = timeout_s
        names = ", ".join(f"worker {index} at {address}" for index, address in self.workers.items())
        them = "it" if len(self.workers) == 1 else "them"
        super().__init__(
            f"{names} did not come within {timeout_s:g} s; start {them}, or restart all workers together: one that is "
            "restarted alone finds no way back in"
        )


class WorkerLostError(RuntimeError):
    """A worker was lost in the middle of the work.

    Args:
        workers: address of each worker that does not answer, by its index; empty if all do, and one is only too slow.
        symptom: how that came to light.
    """

    def __init__(self, workers: dict[int, str], symptom: str):
        self.workers = dict(workers)
        names = " and ".join(f"worker {index} at {address}" for index, address in self.workers.items())
        nobody = "a worker took too long, has given up, or is not at the same step"
        lost = f"{names} no longer answers" if names else nobody
        super().__init__(f"{lost}; start all workers again. Symptom: {symptom.splitlines()[0][:300]}")


class DivergedError(RuntimeError):
    """Training or its results are no longer finite numbers.

    Args:
        what: the quantity, its value, and when it was seen.
    """

    def __init__(self, what: str):
        super().__init__(f"the run diverged: {what}; lower --learning_rate or --clip_norm, or check the data")
