"""Parts of the launcher: ports, cores, the command, lines, and the diagnosis."""

import io
import signal
import socket
import sys

import pytest

from tfpar.cluster.launcher.command import find_command
from tfpar.cluster.launcher.console import CLEAR_ROW, Console
from tfpar.cluster.launcher.cores import CoreAllocation, divide_cores
from tfpar.cluster.launcher.diagnosis import Failure, find_last_error, first_failure
from tfpar.cluster.launcher.ports import free_ports
from tfpar.cluster.launcher.streams import Lines, LiveLines
from tfpar.errors import UserError

TRACEBACK = [b"Traceback (most recent call last):", b'  File "train.py", line 3, in <module>', b"    fit()"]


def test_ports_differ_and_are_free():
    ports = free_ports(50)
    assert len(set(ports)) == 50
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    "workers, asked, usable, threads, cores",
    [
        (2, None, [0, 1], 1, [(0,), (1,)]),
        (2, None, [4, 5, 8, 9, 10], 2, [(4, 5), (8, 9)]),
        (2, 1, [3, 5, 7], 1, [(3,), (5,)]),
        (1, None, [0, 1], 2, [(0, 1)]),
        (3, None, [0, 1], 1, [None] * 3),
    ],
)
def test_cores_are_divided(workers, asked, usable, threads, cores):
    assert divide_cores(workers, asked, usable, bind=True) == [CoreAllocation(threads, own) for own in cores]
    assert divide_cores(workers, asked, usable, bind=False) == [CoreAllocation(threads, None)] * workers


def test_too_few_cores():
    with pytest.raises(UserError, match="need 6 cores, but 4 can be used"):
        divide_cores(3, 2, range(4), bind=True)


def test_a_worker_has_as_many_threads_as_cores():
    pools = ("TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
    assert CoreAllocation(3, None).environment == dict.fromkeys(pools, "3")


@pytest.mark.parametrize("name", ["python", "python3"])
def test_a_bare_python_is_this_interpreter(name):
    assert find_command([name, "x.py", "-v"]) == [sys.executable, "x.py", "-v"]


def test_programs_are_found():
    path, argument = find_command(["sh", "-c"])
    assert path.endswith("/sh") and argument == "-c"
    assert find_command([sys.executable]) == [sys.executable]


def test_programs_that_cannot_be_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    for command, message in {
        (): "no command to launch",
        ("",): "no command to launch",
        ("no-such-program",): "'no-such-program' was not found",
        ("./train.py",): "'./train.py' is not executable",
        ("train.py",): "as in ./train.py",
        (str(tmp_path),): "is a directory",
    }.items():
        with pytest.raises(UserError, match=message):
            find_command(command)


def cut(lines_type, chunks, **options):
    taken = []
    lines = lines_type(lambda line, *_: taken.append(line), **options)
    for chunk in chunks:
        lines.feed(chunk)
    lines.end()
    return taken


def test_lines_are_put_together():
    assert cut(Lines, [b"a", b"b\nc", b"\n\n\xff\x00", b"d"]) == [b"ab", b"c", b"", b"\xff\x00d"]
    assert cut(Lines, [b"ab\n"]) == [b"ab"]
    assert cut(Lines, []) == []


def test_endless_lines_are_broken():
    assert cut(Lines, [b"x" * 6, b"y" * 6, b"\n"], limit_bytes=10) == [b"x" * 6 + b"y" * 6, b""]
    assert cut(Lines, [b"x" * 6, b"y" * 6, b"\n"], limit_bytes=None) == [b"x" * 6 + b"y" * 6]


def live(chunks):
    """Return the rows that were drawn, and the lines with whether each was drawn before."""
    drawn, taken = [], []
    lines = LiveLines(lambda *line: taken.append(line), drawn.append)
    for chunk in chunks:
        lines.feed(chunk)
    lines.end()
    return drawn, taken


def test_a_progress_bar():
    drawn, taken = live([b"1/3", b"\r2/3", b"\r", b"3/3", b" end\nnext\n"])
    assert list(dict.fromkeys(drawn)) == [b"1/3", b"2/3", b"3/3", b"3/3 end"]
    assert taken == [(b"3/3 end", True), (b"next", False)]


@pytest.mark.parametrize("chunk, row", [(b"bar\r\n", b"bar"), (b"begun", b"begun")])
def test_a_row_that_is_written_once(chunk, row):
    drawn, taken = live([chunk])
    assert set(drawn) == {row} and taken == [(row, True)]


def test_lines_go_above_the_bar():
    stream = io.BytesIO()
    console = Console(stream)
    console.draw_row(b"[worker 0] 1/2")
    console.draw_row(b"[worker 0] 1/2 loss")
    console.line(b"[worker 1] note")
    console.draw_row(b"[worker 0] 2/2")
    console.end_row()
    console.line(b"[worker 1] end")
    console.flush()
    assert stream.getvalue() == (
        b"[worker 0] 1/2 loss" + CLEAR_ROW + b"[worker 1] note\n[worker 0] 1/2 loss"
        b"" + CLEAR_ROW + b"[worker 0] 2/2\n[worker 1] end\n"
    )


@pytest.mark.parametrize(
    "returncode, code, text",
    [
        (7, 7, "worker 1 failed first, with exit code 7"),
        (-9, 137, "worker 1 was killed by SIGKILL (signal 9)"),
        (-63, 191, "worker 1 was killed by a signal (signal 63)"),
    ],
)
def test_a_failure_in_words(returncode, code, text):
    failure = Failure(1, returncode, [])
    assert (failure.exit_code, str(failure)) == (code, text)


SYMPTOMS = [
    [b"UnavailableError: Socket closed"],
    [*TRACEBACK, b"tensorflow...errors_impl.UnavailableError: Graph execution error:", b"", b"  [[node]]"],
    [*TRACEBACK, b"tfpar.errors.WorkerMissingError: worker 1 at host:1 did not come within 60 s"],
    [b"error: worker 1 at host:1 no longer answers; start all workers again. Symptom: x"],
    [b"error: a worker took too long, has given up, or is not at the same step; start all workers again. Symptom: x"],
    [b"F0000 00:00:1795575195.098056   10034 agent.cc:291] UNAVAILABLE: closed"],
    [*TRACEBACK, b"RuntimeError: worker 1 no longer answers"],
    [*TRACEBACK, b"ConnectionResetError: [Errno 104] Connection reset by peer"],
    [*TRACEBACK, b"ValueError: x", b"During handling of another:", *TRACEBACK, b"DeadlineExceededError: y"],
]
CAUSES = [
    [b"sh: boom"],
    [b"UNAVAILABLE: a retry", b"error: flag --x"],
    [b"W0000 00:00:1795575195.098056   10034 agent.cc:291] UNAVAILABLE: closed"],
    [],
    [b"UNAVAILABLE: a retry", *TRACEBACK, b"ValueError: x"],
    [*TRACEBACK, b"UnavailableError: x", b"During handling of another:", *TRACEBACK, b"ValueError: y"],
    [*TRACEBACK, b"ValueError: x", b"2026-01-31 10:00:00.123456: W agent.cc:1] CANCELLED: shut down"],
    [*TRACEBACK, b"ValueError: x", b"E0000 00:00:1795575195.098056   10034 ring_alg.cc:291] UNAVAILABLE: closed"],
]


@pytest.mark.parametrize("lines", SYMPTOMS)
def test_symptoms(lines):
    assert Failure(0, 1, lines).is_symptom
    assert Failure(0, -signal.SIGABRT, lines).is_symptom
    assert not Failure(0, -signal.SIGKILL, lines).is_symptom


@pytest.mark.parametrize("lines", CAUSES)
def test_causes(lines):
    assert not Failure(0, 1, lines).is_symptom
    assert not Failure(0, -signal.SIGABRT, lines).is_symptom


def test_the_first_cause_comes_before_any_symptom():
    symptom, cause = [Failure(0, 1, [b"UnavailableError"]), Failure(1, 7, [b"boom"])]
    later, killed = Failure(2, 8, []), Failure(3, -9, [b"UnavailableError"])
    assert first_failure([symptom, cause, later]) is cause
    assert first_failure([cause, symptom]) is cause
    assert first_failure([symptom, killed]) is killed
    assert first_failure([symptom]) is symptom


def test_find_last_error_of_a_traceback_that_was_cut_off():
    assert find_last_error(TRACEBACK) == []
