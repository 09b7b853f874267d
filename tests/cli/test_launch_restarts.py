"""`tfpar launch --max_restarts`: workers that fail or hang are started again, with real processes."""

import json
import os
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(90)

# Each worker counts to 6, and continues from its file. `FAULT` is run by worker 1 at 3, the first time.
COUNT = """
import json, os, pathlib, signal, sys, time
index, restarts = json.loads(os.environ["TF_CONFIG"])["task"]["index"], int(os.environ["TFPAR_RESTARTS"])
path = pathlib.Path(sys.argv[1], f"count{index}")
begin = int(path.read_text()) if path.exists() else 0
count = begin
for count in range(begin + 1, 7):
    time.sleep(0.02)
    part = path.with_suffix(".part")
    part.write_text(str(count))
    part.replace(path)
    if index == 1 and count == 3 and restarts == 0:
        FAULT
print(json.dumps([begin, count, restarts]))
"""


def count(fault):
    return ["python", "-c", COUNT.replace("FAULT", fault)]


@pytest.mark.parametrize(
    "fault, cause",
    [
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "worker 1 was killed by SIGKILL (signal 9)", id="killed"),
        pytest.param("sys.exit(7)", "worker 1 failed first, with exit code 7", id="failed"),
        pytest.param("sys.exit(3)", "worker 1 was stopped by a signal, with exit code 3", id="stopped"),
    ],
)
def test_all_start_again_and_one_line_reports_it(tfpar, tmp_path, fault, cause):
    run = tfpar("launch", "--workers", "2", "--max_restarts", "3", "--", *count(fault), tmp_path)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)[1:] == [6, 1]
    lines = [line for line in run.stderr.splitlines() if line.startswith("[launch]")]
    assert lines[1:] == [f"[launch] {cause}; restart 1 of 3"]
    assert "[worker 1] [3, 6, 1]" in run.stderr.splitlines()


def test_a_stopped_worker_is_a_hanging_one(tfpar, tmp_path):
    options = ("--workers", "2", "--max_restarts", "1", "--hang_timeout_s", "1", "--grace_s", "0")
    before = time.monotonic()
    run = tfpar("launch", *options, "--", *count("os.kill(os.getpid(), signal.SIGSTOP)"), tmp_path)
    assert run.returncode == 0 and time.monotonic() - before < 60
    assert "[launch] worker 1 hangs: its processes have been stopped for 1 s; restart 1 of 1" in run.stderr


DEADLOCK = """
from tfpar.cluster import heartbeat
steps = heartbeat.expected()
steps.__enter__()
for _ in range(3):
    heartbeat.step()
{end}
if index == 1:
    time.sleep({idle_s})
else:
    time.sleep(0.5)
    heartbeat.step()
    while index == 0 and not pathlib.Path(sys.argv[1], "done").exists(): {wait}
"""
PREAMBLE = """
import json, os, pathlib, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
"""


def test_workers_without_steps_and_cpu_hang_and_the_silent_one_is_named(tfpar, tmp_path):
    code = PREAMBLE + DEADLOCK.format(end="", idle_s=600, wait="time.sleep(0.5)")
    run = tfpar(
        "launch", "--workers", "2", "--hang_timeout_s", "2", "--grace_s", "0", "--", "python", "-c", code, tmp_path
    )
    assert run.returncode == 1
    assert (
        "error: worker 1 hangs: it is the last in its steps, and no worker has ended a step or used its CPU for 2 s"
        in run.stderr
    )


@pytest.mark.parametrize(
    "end, wait",
    [
        pytest.param("", "pass", id="computes"),
        pytest.param("steps.__exit__(None, None, None)", "time.sleep(0.5)", id="outside"),
    ],
)
def test_no_hang_outside_of_training_or_while_a_worker_computes(tfpar, tmp_path, end, wait):
    code = PREAMBLE + DEADLOCK.format(end=end, idle_s=4, wait=wait)
    code += 'pathlib.Path(sys.argv[1], "done").touch()'
    run = tfpar("launch", "--workers", "2", "--hang_timeout_s", "2", "--", "python", "-c", code, tmp_path)
    assert run.returncode == 0, run.stderr


def test_the_first_cause_after_the_last_restart(tfpar):
    code = 'import os, sys; print("boom", file=sys.stderr); sys.exit(7 + int(os.environ["TFPAR_RESTARTS"]))'
    run = tfpar("launch", "--workers", "1", "--max_restarts", "2", "--", "python", "-c", code)
    assert (run.returncode, run.stdout) == (9, "")
    assert [line for line in run.stderr.splitlines() if not line.startswith("[worker 0] boom")][1:] == [
        "[launch] worker 0 failed first, with exit code 7; restart 1 of 2",
        "[launch] worker 0 failed first, with exit code 8; restart 2 of 2",
        "[launch] no restart is left after 2; first cause: worker 0 failed first, with exit code 7",
        "error: worker 0 failed first, with exit code 9:",
    ]


def test_user_errors_are_not_repeated(tfpar):
    code = 'import sys; print("error: flag --x", file=sys.stderr); sys.exit(2)'
    run = tfpar("launch", "--workers", "2", "--max_restarts", "3", "--", "python", "-c", code)
    assert run.returncode == 2 and "restart" not in run.stderr


def test_no_temporary_files_remain(tfpar, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = "import os, signal, tempfile; print(tempfile.mkdtemp()); os.kill(os.getpid(), signal.SIGKILL)"
    run = tfpar("launch", "--workers", "1", "--max_restarts", "1", "--", "python", "-c", code)
    assert run.returncode == 137
    (first, second) = [Path(line.split()[-1]) for line in run.stderr.splitlines() if line.startswith("[worker 0] /")]
    assert first.parent.parent == second.parent.parent == tmp_path and first.parent != second.parent
    assert os.listdir(tmp_path) == []
