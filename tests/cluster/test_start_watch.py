"""A worker that hangs while TensorFlow starts is killed, and the lost worker is named."""

import signal
import subprocess
import sys

import pytest

from tfpar.cluster.launcher.ports import free_ports

pytestmark = pytest.mark.timeout(60)

PROGRAM = """
import sys, time
from tfpar.cluster.start_watch import limited_start
from tfpar.cluster.tf_config import TfConfig

with limited_start(TfConfig(tuple(sys.argv[2:]), 0), timeout_s=1):
    time.sleep(float(sys.argv[1]))
time.sleep(2)
print("alive")
"""


def run(seconds):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    command = [sys.executable, "-c", PROGRAM, str(seconds), *addresses]
    return addresses, subprocess.run(command, capture_output=True, text=True, timeout=50)


def test_a_hanging_worker_is_killed():
    addresses, done = run(seconds=40)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == (
        f"error: worker 1 at {addresses[1]} was lost while TensorFlow started, and did not come back within 1 s; "
        "start all workers again\n"
    )


def test_a_started_worker_is_not_killed():
    _, done = run(seconds=0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")
