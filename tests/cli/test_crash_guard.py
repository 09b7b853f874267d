"""Files on which LiteRT crashes: one line and an exit code, and other ends of the process as without a child."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from crashing_tflite import make_crashing_tflite

from tfpar.export.bundle.directory import write_bundle

GUARDED = """
import os, signal, sys, time
from tfpar.cli.crash_guard import run_in_child
run_in_child(lambda: exec(sys.argv[1], globals()), "files")
print("the parent goes on")
"""
# One long sleep would miss a signal that comes after Python last looked for one, and before the sleep begins.
WAIT = "for _ in range(600): time.sleep(0.1)"


@pytest.fixture(scope="module")
def crashing(tmp_path_factory):
    path = tmp_path_factory.mktemp("crashing")
    with write_bundle(path / "export", {"task": "model", "exports": [{"format": "float32"}]}) as directory:
        (directory / "model.float32.tflite").write_bytes(make_crashing_tflite())
    np.savez(path / "data.npz", x=np.ones((2, 1), np.float32), y=np.ones((2, 1), np.float32))
    return path


@pytest.mark.parametrize("command", ["predict", "evaluate", "verify"])
def test_a_crash_of_the_interpreter_is_one_line(tfpar, crashing, command):
    data = [] if command == "verify" else [f"npz:{crashing / 'data.npz'}"]
    error = tfpar(command, crashing / "export", *data).error
    assert f"the interpreter crashed (SIGSEGV) on the TFLite files of {crashing / 'export'}" in error


def run(body):
    return subprocess.run([sys.executable, "-c", GUARDED, body], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_output_and_exit_code_are_those_of_the_child(code):
    done = run(f"print('out')\nprint('err', file=sys.stderr)\nos.write(2, b'native')\nsys.exit({code})")
    rest = "" if code else "the parent goes on\n"
    assert (done.returncode, done.stdout, done.stderr) == (code, f"out\n{rest}", "err\nnative")


def test_what_a_crashed_child_wrote_to_stderr_is_not_printed():
    done = run("os.write(2, b'free(): invalid pointer')\nos.abort()")
    assert done.returncode == 2 and done.stderr.startswith("error: the interpreter crashed (SIGABRT) on files: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_to_the_parent_reach_the_child(number):
    body = f"signal.signal({int(number)}, lambda n, frame: sys.exit(n))\nprint('ready', flush=True)\n{WAIT}"
    process = subprocess.Popen([sys.executable, "-c", GUARDED, body], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, number)
    assert process.wait(timeout=30) == number


def test_a_child_without_a_handler_ends_the_parent_by_the_same_signal():
    body = f"print(os.getpid(), flush=True)\n{WAIT}"
    process = subprocess.Popen([sys.executable, "-c", GUARDED, body], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
