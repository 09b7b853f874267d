"""SIGTERM and Ctrl-C end a program with exit code 3, at the end of a step where there are steps."""

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(60)

PREAMBLE = """
import os, signal, sys, threading, time
from tfpar.cluster import stop_request

def send(number, after_s=0.0):
    threading.Timer(after_s, os.kill, (os.getpid(), number)).start()

def step(seconds=0.05):
    time.sleep(seconds)
    print("step", flush=True)
    return stop_request.is_agreed()
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", PREAMBLE + code], capture_output=True, text=True, timeout=50)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_request_ends_the_program_at_once_outside_of_steps(name):
    done = run(f"""
with stop_request.handled():
    try:
        send(signal.{name})
        time.sleep(40)
    finally:
        print("cleaned up")
""")
    assert (done.returncode, done.stdout) == (3, "cleaned up\n")
    assert done.stderr == f"stopped by {name}; the same command continues from the last checkpoint\n"


@pytest.mark.parametrize("is_handled", [True, False])
def test_a_request_waits_for_the_end_of_a_step(is_handled):
    done = run(f"""
import contextlib
with stop_request.handled() if {is_handled} else contextlib.nullcontext():
    stop_request.begin_steps()
    assert not step()
    send(signal.SIGTERM)
    while not step(): pass
    print("saved", flush=True)
    stop_request.stop()
""")
    assert done.returncode == 3
    assert done.stdout.splitlines()[-2:] == ["step", "saved"]


def test_a_request_after_the_last_step_ends_the_program_once_it_is_saved():
    done = run("""
stop_request.begin_steps()
send(signal.SIGTERM)
time.sleep(0.2)
print("saved", flush=True)
stop_request.end_steps()
print("not reached")
""")
    assert (done.returncode, done.stdout) == (3, "saved\n")


@pytest.mark.parametrize("ending", ["end_steps", "abandon_steps"])
def test_signals_are_handled_as_before_after_training(ending):
    done = run(f"""
stop_request.begin_steps()
stop_request.{ending}()
os.kill(os.getpid(), signal.SIGTERM)
""")
    assert done.returncode == -signal.SIGTERM


def test_a_step_that_does_not_end_is_given_a_time_limit():
    done = run("""
with stop_request.handled(limit_s=0.3):
    stop_request.begin_steps()
    send(signal.SIGTERM)
    step(30)
""")
    assert (done.returncode, done.stdout) == (3, "")
    assert "stopped by SIGTERM, though no step ended within 0.3 s; the same command continues" in done.stderr


def test_a_second_signal_ends_the_program_without_waiting():
    done = run("""
stop_request.begin_steps()
send(signal.SIGTERM)
send(signal.SIGTERM, 0.3)
step(30)
""")
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")


def test_workers_agree_after_a_step_in_which_any_has_a_request(monkeypatch):
    from tfpar.cluster import stop_request

    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}')
    stop_request.begin_steps()
    try:
        assert not stop_request.is_agreed()
        stop_request.record_agreement(0.0)
        assert not stop_request.is_agreed()
        stop_request.record_agreement(1.0)
        assert stop_request.is_agreed() and not stop_request.is_requested() and not stop_request.is_urgent()
        stop_request.record_agreement(1.0 + stop_request.URGENT)
        assert stop_request.is_urgent()
        with pytest.raises(SystemExit):
            stop_request.stop()
    finally:
        stop_request.abandon_steps()
    stop_request.begin_steps()
    try:
        assert not stop_request.is_agreed() and not stop_request.is_urgent()
    finally:
        stop_request.abandon_steps()
