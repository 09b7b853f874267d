"""TFLite Micro in a process of its own: it may end its process with a segmentation fault, and says why on stderr.

Run as `python -m tfpar.export.micro.interpreter_process DIRECTORY TRIAL_S`; the directory holds `model.tflite` and
`inputs.npz`, arrays (runs, *shape), and receives `outputs.npz` and `arena_bytes`.
"""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.conversion.subprocess_environment import subprocess_environment
from tfpar.export.conversion.verify_outputs import Comparison
from tfpar.export.micro.interpreter import MicroModel, check_micro

_LARGE_ARENA_BYTES = 64 << 20  # more than any such chip has
_ALIGNMENT_BYTES = 16
_LAST_WORDS = 300  # characters
# What TFLite Micro says of an operation that it lacks, cannot prepare, or cannot run on such tensors.
_CULPRIT = re.compile(r"Didn't find op for builtin opcode '(\w+)'|Node (\w+) \(number \d+\w?\) failed")


@dataclasses.dataclass(frozen=True)
class MicroRun:
    """Attributes:
    arena_bytes: the smallest arena; all that was run, ran in it. Pointers of this machine are twice as long as a
        chip's, so there it is less.
    outputs: by name, (runs, *shape), dequantised.
    """

    arena_bytes: int
    outputs: dict[str, np.ndarray]


def run_in_micro(content: bytes, inputs: dict[str, np.ndarray], timeout_s: float = 600) -> MicroRun:
    """Runs a file in TFLite Micro, once for each row of inputs, in the smallest arena that it needs.

    Args:
        content: of the file.
        inputs: by name, (runs, *shape).
        timeout_s: what all runs may take together.

    Raises:
        UserError: TFLite Micro cannot run the file, died, or took too long. The message names the operation.
        MissingExtraError: tflite-micro is not installed.
    """
    check_micro()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "model.tflite").write_bytes(content)
        np.savez(directory / "inputs.npz", **inputs)
        _run(directory, timeout_s)
        with np.load(directory / "outputs.npz") as outputs:
            return MicroRun(int((directory / "arena_bytes").read_text()), dict(outputs))


def measure_in_micro(content: bytes, sequences, rows: list, timeout_s: float):
    """Run rows, `verify_outputs.Row`, of a `signatures.Sequences`.

    Returns:
        {"arena_bytes", "micro_max_abs_error"}, and the `Comparison` with Keras.
    """
    scratch = Comparison()
    rows = [row for row in rows if scratch.is_comparable(row, sequences.model.outputs(row.inputs))]
    inputs = {name: np.stack([row.inputs[name] for row in rows]) for name in rows[0].inputs}
    run = run_in_micro(content, inputs, timeout_s)
    outputs = iter([{name: array[i] for name, array in run.outputs.items()} for i in range(len(rows))])
    comparison = sequences.compare(lambda **_: next(outputs), rows)
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
        raise UserError(_explanation(done.returncode, done.stderr))


def _explanation(returncode, words):
    culprit = _CULPRIT.search(words)
    if culprit is None:
        died = f"died of signal {-returncode}" if returncode < 0 else "failed"
        return f"TFLite Micro {died} on the file. Its last words: {words.strip()[-_LAST_WORDS:]}"
    lacks, fails = culprit.groups()
    before = words[: culprit.start()].strip().splitlines() or ["it does not say why"]
    said = f"it has no operation {lacks}" if lacks else f"its {fails} fails: {before[-1]}"
    return (
        f"TFLite Micro cannot run the file: {said}. What helps: quantize='int8', a fixed `sequence_length`, a model "
        f"without the layer that needs {lacks or fails} (of a text model, what follows its Embedding); "
        "or another target"
    )


def _main(directory: Path, trial_s: int) -> None:
    content = (directory / "model.tflite").read_bytes()
    with np.load(directory / "inputs.npz") as file:
        inputs = dict(file)
    rows = [{name: array[i] for name, array in inputs.items()} for i in range(len(next(iter(inputs.values()))))]
    MicroModel(content, _LARGE_ARENA_BYTES)(**rows[0])
    arena_bytes = _smallest_arena_bytes(lambda size: _survives(lambda: MicroModel(content, size)(**rows[0]), trial_s))
    model = MicroModel(content, arena_bytes)
    answers = [model(**row) for row in rows]
    np.savez(directory / "outputs.npz", **{name: np.stack([a[name] for a in answers]) for name in model.outputs})
    (directory / "arena_bytes").write_text(str(arena_bytes))


def _smallest_arena_bytes(is_enough) -> int:
    """Bisects; the largest arena is known to be enough."""
    too_small, enough = 0, _LARGE_ARENA_BYTES // _ALIGNMENT_BYTES
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if is_enough(middle * _ALIGNMENT_BYTES):
            enough = middle
        else:
            too_small = middle
    return enough * _ALIGNMENT_BYTES


def _survives(run, trial_s) -> bool:
    """Whether a copy of this process comes out of `run` alive and without an error."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    signal.alarm(trial_s)
    try:
        run()
        os._exit(0)
    finally:
        os._exit(1)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
