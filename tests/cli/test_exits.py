"""Ends of commands and recipes: Ctrl-C, closed pipes, results that are not finite."""

import os
import signal
import subprocess
import sys

import pytest

RECIPE = "from tfpar.cli.run import run_recipe\nimport sys, time\n{body}\nrun_recipe(main)"
SLEEP = 'def main():\n    print("ready", flush=True)\n    time.sleep(60)'
# As C++ code that is interrupted while it is imported: the interrupt comes out as another error.
CONVERTED = SLEEP.replace(
    "    time.sleep(60)", "    try:\n        time.sleep(60)\n    except BaseException:\n        raise ImportError"
)


def start(command, **streams):
    """Start Python with Ctrl-C as on a terminal; shells make background jobs ignore it."""
    return subprocess.Popen(
        [sys.executable, *command],
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **streams,
    )


@pytest.mark.parametrize("body", [SLEEP, CONVERTED], ids=["in Python", "in an import"])
def test_ctrl_c_in_a_recipe(body):
    process = start(["-c", RECIPE.format(body=body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "error: interrupted\n")
    assert process.returncode == 130


def test_ctrl_c_in_a_command(export_dir):
    command = ["-m", "tfpar", "predict", export_dir, "--output", "jsonl"]
    process = start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    print("glad", file=process.stdin, flush=True)
    assert '"input": "glad"' in process.stdout.readline()  # now it waits for the next line
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[1].splitlines()[-1] == "error: interrupted"
    assert process.returncode == 130


def ended_with_closed_pipe(command, name):
    """The other stream of a process when nobody reads `name`."""
    reading, writing = os.pipe()
    os.close(reading)
    other = {"stdout": "stderr", "stderr": "stdout"}[name]
    process = start(command, **{name: writing, other: subprocess.PIPE})
    os.close(writing)
    return process.communicate(timeout=60)[name == "stdout"], process.returncode


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "tfpar", "--help"],
        ["-m", "tfpar", "info"],
        ["-m", "tfpar", "predict", "--help"],
        ["-c", RECIPE.format(body="main = dict")],
        ["-c", RECIPE.format(body="main = dict"), "--help"],
    ],
)
def test_nobody_reads_stdout(command):
    stderr, returncode = ended_with_closed_pipe(command, "stdout")
    assert stderr == "" and returncode in (0, 1)  # argparse takes a help that nobody reads for printed


def test_nobody_reads_stderr():
    body = "def main():\n    print('progress', flush=True)\n    return {}"
    assert ended_with_closed_pipe(["-c", RECIPE.format(body=body)], "stderr") == ("", 1)


def test_a_result_that_is_not_finite():
    body = "main = lambda: {'metrics': {'loss': [1.0, float('inf')]}}"
    done = subprocess.run([sys.executable, "-c", RECIPE.format(body=body)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr.startswith("error: the run diverged: metrics.loss.1 is inf. Lower")
        and len(done.stderr.splitlines()) == 1
    )


def test_a_fault_of_the_program_keeps_its_traceback():
    body = "def main():\n    raise RuntimeError('fault')"
    done = subprocess.run([sys.executable, "-c", RECIPE.format(body=body)], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" in done.stderr and "RuntimeError: fault" in done.stderr


def test_a_path_that_cannot_be_read_is_the_user_s_mistake():
    body = "main = lambda: {'content': open(sys.argv[0] + '/nowhere').read()}"
    done = subprocess.run([sys.executable, "-c", RECIPE.format(body=body)], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "error: -c/nowhere: No such file or directory\n"
