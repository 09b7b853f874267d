"""Asks the TFLite converter, in its own process, for a file, and bounds its time."""

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
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.conversion.converter_process import WORDS
from tfpar.export.conversion.subprocess_environment import subprocess_environment

COMMAND = [sys.executable, "-m", "tfpar.export.conversion.converter_process"]
_LAST_CHARACTERS = 300
_MISSING_OPERATION = re.compile(r"'(tf\.\w+)' op is neither a custom op nor a flex op")


def convert(directory: Path, format_name: str, timeout_s: float, target: str = "phone") -> bytes:
    """Converts `directory/saved_model` in another process.

    For the target "micro" an int8 file takes and gives 8-bit numbers; those of other targets take and give floats.

    Raises:
        UserError: the converter failed, died or took longer than `timeout_s`; the message names the operations that
            TFLite lacks, or ends with its last words.
    """
    code = _converter().ask([str(directory), format_name, target], timeout_s)
    if code is None:
        raise UserError(f"the TFLite converter did not finish the {format_name} file within {timeout_s:.0f} s")
    if code:
        died = f"died of signal {-code}" if code < 0 else "failed"
        raise UserError(f"the TFLite converter {died} on the {format_name} file: {_explain(_words(directory))}")
    return (directory / "model.tflite").read_bytes()


def save_calibration(directory: Path, rows: dict[str, list[dict[str, np.ndarray]]], float_layers=()) -> None:
    """Writes representative inputs, rows by signature, and what stays in float32, for `convert` to read."""
    with open(directory / "calibration.pickle", "wb") as file:
        pickle.dump((rows, tuple(float_layers)), file)


def _words(directory) -> str:
    path = directory / WORDS
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _explain(words: str) -> str:
    """Say in one line what failed, and what to do."""
    missing = sorted(set(_MISSING_OPERATION.findall(words)))
    if missing:
        return (
            f"TFLite has no builtin operation for {', '.join(missing)}. Leave the layer out that needs it, or use a "
            "SavedModel"
        )
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line or "error: " in line]
    said = (errors or lines or ["it said nothing"])[-1][:_LAST_CHARACTERS]
    return f"{said}. Try a fixed `sequence_length` or another form, or use a SavedModel"


class _Converter:
    """A process that answers one request at a time, for the process that started it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._words = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=subprocess_environment(CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="2"),
            start_new_session=True,
        )
        self._owner = os.getpid()

    @property
    def is_usable(self) -> bool:
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, request: list[str], timeout_s: float) -> int | None:
        """The exit code of the conversion, negative for a signal; None if it took too long."""
        with self._lock:
            try:
                with contextlib.suppress(BrokenPipeError):  # then it has ended, and so has its answer
                    self._process.stdin.write(json.dumps(request).encode() + b"\n")
                    self._process.stdin.flush()
                ready, _, _ = select.select([self._process.stdout], [], [], timeout_s)
                answer = self._process.stdout.readline() if ready else None
            except BaseException:  # Ctrl-C, too, ends the conversion
                self.stop()
                raise
            if answer:
                return int(answer)
            self.stop()
            if answer is None:
                return None
            self._words.seek(0)
            (Path(request[0]) / WORDS).write_bytes(self._words.read())
            return self._process.returncode or 1

    def stop(self) -> None:
        """Ends the process and its forks."""
        if self._owner == os.getpid():
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


_running: list[_Converter] = []


def _converter() -> _Converter:
    """The running process, or a new one."""
    if not _running or not _running[-1].is_usable:
        stop_converter()
        _running.append(_Converter())
    return _running[-1]


@atexit.register
def stop_converter() -> None:
    """Ends the process, if it runs; the next conversion starts another one."""
    while _running:
        _running.pop().stop()
