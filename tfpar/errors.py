"""The errors that tfpar raises on purpose."""


class UserError(ValueError):
    """A mistake that the user can mend: a wrong flag, path, column or file.

    Commands print its message as one line on stderr and exit with code 2; no traceback is shown. The message says which
    argument was wrong, what was expected, what came, and what to do.
    """


class MissingExtraError(UserError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: name of the missing distribution, as pip knows it.
        extra: the extra of tfpar that holds it.
        purpose: what it is needed for, as the end of "needed ...".
    """

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{package} is not installed; it is needed {purpose}. Run: pip install 'tfpar[{extra}]'")
