"""Lines on stderr about a run."""

import sys
from collections.abc import Mapping

from tfpar import cluster


def log(line: str) -> None:
    """Print a line on stderr; in a cluster only the chief does."""
    if cluster.is_chief():
        print(line, file=sys.stderr, flush=True)


def log_skipped(skipped: Mapping[str, int], unit: str = "") -> None:
    """Log how many examples were skipped for each reason, such as {"empty text": 2}; `unit` follows the number."""
    for reason, count in skipped.items():
        log(f"skipped {count}{unit and ' ' + unit}: {reason}")


def progress() -> int:
    """Return `verbose` for Keras: a progress bar on a terminal, else one line per epoch."""
    return 1 if sys.stderr.isatty() else 2
