"""Steps at which checkpoints are due, the same on all workers."""

import time
from collections.abc import Callable

from tfpar.checkpoint_interval import Interval


class Schedule:
    """Schedule of checkpoints.

    If the interval is in seconds, the clock is read after steps that all workers know: they agree there on the time
    since the last checkpoint, and estimate from it the step at which to read it next.

    Args:
        interval: between checkpoints.
        agree: function of this worker's seconds that returns the chief's; all workers call it.
    """

    def __init__(self, interval: Interval, agree: Callable[[float], float]):
        self._interval, self._agree = interval, agree

    def start(self, step: int) -> None:
        """Begin behind a step."""
        self._saved_at, self._saved_at_s, self._look_at = step, time.monotonic(), step + 1

    def note_saved(self, step: int) -> None:
        """Note that a checkpoint was saved after a step."""
        self.start(step)

    def is_due(self, step: int, finished_epochs: int = 0) -> bool:
        """Return whether a checkpoint is due after a step; `finished_epochs` if it ends an epoch."""
        count, unit = self._interval.count, self._interval.unit
        if unit == "epochs":
            return bool(finished_epochs) and finished_epochs % count == 0
        if unit == "steps":
            return step // count > self._saved_at // count
        if step < self._look_at:
            return False
        elapsed_s = self._agree(time.monotonic() - self._saved_at_s)
        if elapsed_s >= count:
            return True
        per_step_s = elapsed_s / max(1, step - self._saved_at)
        steps = min((count - elapsed_s) / max(per_step_s, 1e-6) / 2, 2.0 * (step - self._saved_at))
        self._look_at = step + max(1, int(steps))
        return False
