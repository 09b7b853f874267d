"""Exceptions of tfpar."""

USER_ERROR_EXIT_CODE = 2
STOPPED_EXIT_CODE = 3


class UserError(ValueError):
    """Error of the user: a wrong flag, path, column or file.

    Commands print its message as one line on stderr, without a traceback, and exit with code 2. The message names the
    argument, the expected value, the value it got, and a remedy.
    """


class RefusedFileError(UserError):
    """Error for an exported file that exceeds a tolerance.

    Args:
        message: the measured values, and a remedy.
        figures: the measured values, for the report.
    """

    def __init__(self, message: str, figures: dict | None = None):
        self.figures = dict(figures or {})
        super().__init__(message)


class MissingExtraError(UserError, ImportError):
    """Error for an optional dependency that is not installed.

    Args:
        package: pip's name of the missing distribution.
        extra: the extra of tfpar that installs it.
        purpose: the end of the sentence "it is needed ...".
    """

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{package} is not installed; it is needed {purpose}. Run: pip install 'tfpar[{extra}]'")


class ChangedFileError(UserError):
    """Error for a file of an export that differs from the exported one.

    Args:
        name: its path in the export.
        reason: the evidence.
    """

    def __init__(self, name: str, reason: str):
        self.name = name
        super().__init__(f"{name} was changed: {reason}. Get the export again from its source")


class UntrustedExportError(UserError):
    """Error for an export that is not signed by the public key that the user trusts."""


class WorkerMissingError(RuntimeError):
    """Error for workers that did not join the cluster in time.

    Args:
        workers: address of each missing worker, by its index.
        timeout_s: the time limit, in seconds.
    """

    def __init__(self, workers: dict[int, str], timeout_s: float):
        self.workers = dict(workers)
        self.timeout_s = timeout_s
        names = ", ".join(f"worker {index} at {address}" for index, address in self.workers.items())
        them = "it" if len(self.workers) == 1 else "them"
        super().__init__(
            f"{names} did not come within {timeout_s:g} s; start {them}, or restart all workers together, since a "
            "worker that is restarted alone cannot rejoin"
        )


class WorkerLostError(RuntimeError):
    """Error for a worker that was lost during training.

    Args:
        workers: address of each worker that does not respond, by its index; empty if all respond and one is too slow.
        symptom: the error that revealed the loss.
    """

    def __init__(self, workers: dict[int, str], symptom: str):
        self.workers = dict(workers)
        names = " and ".join(f"worker {index} at {address}" for index, address in self.workers.items())
        nobody = "a worker took too long, has given up, or is not at the same step"
        lost = f"{names} no longer answers" if names else nobody
        super().__init__(f"{lost}; start all workers again. Symptom: {symptom.splitlines()[0][:300]}")


class DivergedError(RuntimeError):
    """Error for training that diverged: weights, losses or results that are not finite.

    Args:
        quantity: its name, its value, and when it was observed.
    """

    def __init__(self, quantity: str):
        super().__init__(
            f"the run diverged: {quantity}. Lower the learning rate or the clipping norm, or check the data"
        )
