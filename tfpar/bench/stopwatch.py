"""Times competitors in turn, each run in a process of its own, so that a machine's moods meet all of them alike."""

import json
import os
import statistics
import subprocess
import sys

from tfpar.errors import UserError


def run_interleaved(commands: dict[str, list[str]], rounds: int, timeout_s: float) -> dict[str, list[dict]]:
    """Runs each command once a round, in an order that turns over from round to round.

    Args:
        commands: arguments to the Python interpreter, by competitor; the last line that each prints is its figures,
            a JSON object.
        rounds: how many.
        timeout_s: for one run.

    Returns:
        The figures of all rounds, by competitor.

    Raises:
        UserError: a run failed or took too long.
    """
    figures = {name: [] for name in commands}
    for number in range(rounds):
        for name in list(commands) if number % 2 == 0 else reversed(list(commands)):
            figures[name].append(_run(name, commands[name], timeout_s))
    return figures


def paired_ratios(seconds: dict[str, list[float]], ours: str) -> dict[str, float]:
    """The median over rounds of each peer's time over ours; above 1 we are faster."""
    return {
        name: statistics.median(peer / own for peer, own in zip(times, seconds[ours], strict=True))
        for name, times in seconds.items()
        if name != ours
    }


def _run(name, arguments, timeout_s):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=environment)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"the benchmark of {name} did not end within {timeout_s:.0f} s") from error
    if done.returncode:
        raise UserError(f"the benchmark of {name} failed: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
