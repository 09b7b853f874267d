"""TFLite Micro as a separate process, because it may crash with a segmentation fault and explains errors on stderr.

Run as `python -m tfpar.export.micro.interpreter_process DIRECTORY TRIAL_S`. The directory holds `model.tflite` and
`inputs.npz`, arrays (runs, *shape); `outputs.npz` and `arena_bytes` are written to it.
"""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpar.errors import UserError
from tfpar.export.conversion.subprocess_environment import subprocess_environment
from tfpar.export.conversion.verify_outputs import Comparison, is_comparable
from tfpar.export.micro.interpreter import MicroModel, check_micro

if TYPE_CHECKING:
    from tfpar.export.conversion.signatures import Signature

_LARGE_ARENA_BYTES = 64 << 20  # more than any microcontroller has
_ALIGNMENT_BYTES = 16
_LAST_CHARACTERS = 300
# TFLite Micro's messages about an operation that it lacks, or that fails to prepare or run.
_FAILED_OPERATION = re.compile(r"Didn't find op for builtin opcode '(\w+)'|Node (\w+) \(number \d+\w?\) failed")


@dataclasses.dataclass(frozen=True)
class MicroRun:
    """Results of running a file in TFLite Micro.

    Attributes:
        arena_bytes: the smallest arena in which all runs succeeded. A chip needs less, since its pointers are half as
            long as those of this machine.
        outputs: by name, (runs, *shape), dequantized.
    """

    arena_bytes: int
    outputs: dict[str, np.ndarray]


def run_in_micro(content: bytes, inputs: dict[str, np.ndarray], timeout_s: float = 600) -> MicroRun:
    """Run a file in TFLite Micro, once for each row of inputs, in the smallest arena that suffices.

    Args:
        content: of the file.
        inputs: by name, (runs, *shape).
        timeout_s: time limit of all runs together, in seconds.

    Raises:
        UserError: TFLite Micro cannot run the file, crashed, or exceeded the time limit. The message names the
            operation.
        MissingExtraError: tflite-micro is not installed.
    """
    check_micro()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "model.tflite").write_bytes(content)
        arrays: dict[str, Any] = inputs  # NumPy's hints take a name in `**` for `allow_pickle`
        np.savez(directory / "inputs.npz", **arrays)
        _run(directory, timeout_s)
        with np.load(directory / "outputs.npz") as outputs:
            return MicroRun(int((directory / "arena_bytes").read_text()), dict(outputs))


def measure_in_micro(content: bytes, signature: "Signature", timeout_s: float) -> tuple[dict[str, Any], Comparison]:
    """Compare the outputs of a file in TFLite Micro with those of the model.

    Args:
        content: of the file.
        signature: its only one.
        timeout_s: see `run_in_micro`.

    Returns:
        {"arena_bytes", "micro_max_abs_error"}, and the comparison.
    """
    pairs = [(row, signature.model.outputs(row.inputs)) for row in signature.rows_to_compare()]
    pairs = [(row, expected) for row, expected in pairs if is_comparable(row, expected)]
    inputs = {name: np.stack([row.inputs[name] for row, _ in pairs]) for name in pairs[0][0].inputs}
    run, comparison = run_in_micro(content, inputs, timeout_s), Comparison()
    for index, (row, expected) in enumerate(pairs):
        comparison.add(row, {name: array[index] for name, array in run.outputs.items()}, expected)
    return {"arena_bytes": run.arena_bytes, "micro_max_abs_error": comparison.error}, comparison


def _run(directory, timeout_s):
    command = [sys.executable, "-m", "tfpar.export.micro.interpreter_process", str(directory), str(int(timeout_s) + 1)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, env=subprocess_environment()
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"TFLite Micro did not finish within {timeout_s:.0f} s; give fewer or shorter inputs"
        ) from error
    if done.returncode:
        raise UserError(_explain(done.returncode, done.stderr))


def _explain(returncode, log):
    match = _FAILED_OPERATION.search(log)
    if match is None:
        failure = f"was killed by signal {-returncode}" if returncode < 0 else "failed"
        return f"TFLite Micro {failure} on the file. The end of its log: {log.strip()[-_LAST_CHARACTERS:]}"
    lacks, fails = match.groups()
    before = log[: match.start()].strip().splitlines() or ["no reason is given"]
    reason = f"it has no operation {lacks}" if lacks else f"its {fails} fails: {before[-1]}"
    return (
        f"TFLite Micro cannot run the file: {reason}. Use quantize='int8', a fixed `sequence_length`, a model without "
        f"the layer that needs {lacks or fails} (of a text model, the layers after its Embedding), or another target"
    )


def _main(directory: Path, trial_s: int) -> None:
    content = (directory / "model.tflite").read_bytes()
    with np.load(directory / "inputs.npz") as file:
        inputs = dict(file)
    rows = [{name: array[i] for name, array in inputs.items()} for i in range(len(next(iter(inputs.values()))))]
    MicroModel(content, _LARGE_ARENA_BYTES)(**rows[0])
    arena_bytes = _smallest_arena_bytes(lambda size: _survives(lambda: MicroModel(content, size)(**rows[0]), trial_s))
    model = MicroModel(content, arena_bytes)
    outputs = [model(**row) for row in rows]
    arrays: dict[str, Any] = {name: np.stack([o[name] for o in outputs]) for name in model.outputs}
    np.savez(directory / "outputs.npz", **arrays)
    (directory / "arena_bytes").write_text(str(arena_bytes))


def _smallest_arena_bytes(is_enough) -> int:
    """Find the smallest arena by bisection; the largest one is known to suffice."""
    too_small, enough = 0, _LARGE_ARENA_BYTES // _ALIGNMENT_BYTES
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if is_enough(middle * _ALIGNMENT_BYTES):
            enough = middle
        else:
            too_small = middle
    return enough * _ALIGNMENT_BYTES


def _survives(run, trial_s) -> bool:
    """Whether a fork of this process executes `run` without a crash or an error."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    signal.alarm(trial_s)
    try:
        run()
        os._exit(0)
    finally:
        os._exit(1)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
