"""Times competitors in separate processes, interleaved, so that other load on the machine affects all of them alike."""

import json
import os
import statistics
import subprocess
import sys

from tfpar.errors import UserError


def run_interleaved(commands: dict[str, list[str]], rounds: int, timeout_s: float) -> dict[str, list[dict]]:
    """Run each command once per round; the order is reversed in every second round.

    Args:
        commands: arguments of the Python interpreter, by competitor. The last line that each prints is its result, a
            JSON object.
        rounds: number of rounds.
        timeout_s: time limit of one run.

    Returns:
        The results of all rounds, by competitor.

    Raises:
        UserError: a run failed or exceeded the time limit.
    """
    results: dict[str, list[dict]] = {name: [] for name in commands}
    for number in range(rounds):
        for name in list(commands) if number % 2 == 0 else reversed(list(commands)):
            results[name].append(_run(name, commands[name], timeout_s))
    return results


def paired_ratios(seconds: dict[str, list[float]], ours: str) -> dict[str, float]:
    """Compute the median over rounds of each peer's time over ours; above 1 we are faster."""
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
