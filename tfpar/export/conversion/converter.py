"""Runs the TFLite converter in a subprocess with a time limit."""

import atexit
import contextlib
import json
import os
import pickle
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.conversion.converter_process import LOG
from tfpar.export.conversion.subprocess_environment import subprocess_environment

start_process = subprocess.Popen  # tests start it as a fork
COMMAND = [sys.executable, "-m", "tfpar.export.conversion.converter_process"]
_LAST_CHARACTERS = 300
_MISSING_OPERATION = re.compile(r"'(tf\.\w+)' op is neither a custom op nor a flex op")


def convert(directory: Path, format_name: str, timeout_s: float, target: str = "phone") -> bytes:
    """Convert `directory/saved_model` to a TFLite file.

    Args:
        directory: holds `saved_model/` and the file of `save_calibration`.
        format_name: name of a `Format`.
        timeout_s: time limit.
        target: for "micro" the inputs and outputs of an int8 file are 8-bit integers; for other targets, floats.

    Returns:
        The content of the file.

    Raises:
        UserError: the converter failed, crashed or exceeded `timeout_s`. The message names the operations that TFLite
            lacks, or ends with the last line of the converter's log.
    """
    code = _start_converter().request([str(directory), format_name, target], timeout_s)
    if code is None:
        raise UserError(f"the TFLite converter did not finish the {format_name} file within {timeout_s:.0f} s")
    if code:
        failure = f"was killed by signal {-code}" if code < 0 else "failed"
        raise UserError(f"the TFLite converter {failure} on the {format_name} file: {_explain(_read_log(directory))}")
    return (directory / "model.tflite").read_bytes()


def save_calibration(
    directory: Path, rows: dict[str, list[dict[str, np.ndarray]]], float_layers: Iterable[str] = ()
) -> None:
    """Write representative inputs for `convert`.

    Args:
        directory: that `convert` is called with.
        rows: inputs by name, for each signature.
        float_layers: names of layers that compute in float32 in an int8 file.
    """
    with open(directory / "calibration.pickle", "wb") as file:
        pickle.dump((rows, tuple(float_layers)), file)


def _read_log(directory) -> str:
    path = directory / LOG
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _explain(log: str) -> str:
    """Summarize a converter's log in one line, with a remedy."""
    missing = sorted(set(_MISSING_OPERATION.findall(log)))
    if missing:
        return (
            f"TFLite has no builtin operation for {', '.join(missing)}. Remove the layer that needs it, or use a "
            "SavedModel"
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line or "error: " in line]
    last = (errors or lines or ["its log is empty"])[-1][:_LAST_CHARACTERS]
    return f"{last}. Try a fixed `sequence_length` or another form, or use a SavedModel"


class _Converter:
    """A converter process that serves one request at a time of the process that started it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._log = tempfile.TemporaryFile()
        self._process = start_process(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=subprocess_environment(CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="2"),
            start_new_session=True,
        )
        self._owner = os.getpid()

    @property
    def is_usable(self) -> bool:
        return self._owner == os.getpid() and self._process.poll() is None

    def request(self, arguments: list[str], timeout_s: float) -> int | None:
        """Run a conversion; return its exit code (negative: a signal), or None after a timeout."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        with self._lock:
            try:
                with contextlib.suppress(BrokenPipeError):  # the process has ended, so stdout is at its end too
                    stdin.write(json.dumps(arguments).encode() + b"\n")
                    stdin.flush()
                ready, _, _ = select.select([stdout], [], [], timeout_s)
                reply = stdout.readline() if ready else None
            except BaseException:  # includes KeyboardInterrupt: the conversion must not go on
                self.stop()
                raise
            if reply:
                return int(reply)
            self.stop()
            if reply is None:
                return None
            self._log.seek(0)
            (Path(arguments[0]) / LOG).write_bytes(self._log.read())
            return self._process.returncode or 1

    def stop(self) -> None:
        """Kill the process and its forks."""
        if self._owner == os.getpid():
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


_running: list[_Converter] = []


def _start_converter() -> _Converter:
    """Return the running process, or start a new one."""
    if not _running or not _running[-1].is_usable:
        stop_converter()
        _running.append(_Converter())
    return _running[-1]


@atexit.register
def stop_converter() -> None:
    """Stop the converter process, if it runs; the next conversion starts a new one."""
    while _running:
        _running.pop().stop()
