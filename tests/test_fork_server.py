"""Forks of a process that has imported TensorFlow run as programs of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest
from fork_server import Fork, run_fork

pytestmark = pytest.mark.timeout(150)


def test_arguments_environment_directory_and_streams(tmp_path):
    code = "import os, sys; print(sys.argv, os.environ['NAME'], os.getcwd()); print(input(), file=sys.stderr); exit(3)"
    (tmp_path / "program.py").write_text(f"{code}")
    (tmp_path / "input").write_text("a line")
    for program, name in ((["-c", code], "-c"), ([str(tmp_path / "program.py")], str(tmp_path / "program.py"))):
        with open(tmp_path / "input", "rb") as stdin:
            done = run_fork([*program, "x"], env={"NAME": "value"}, cwd=tmp_path, stdin=stdin, timeout=20)
        assert done.stdout == f"['{name}', 'x'] value {tmp_path}\n"
        assert (done.stderr, done.returncode) == ("a line\n", 3)


def test_tensorflow_is_imported_and_has_not_started():
    code = "import sys; assert 'tensorflow' in sys.modules; import tensorflow as tf; "
    code += "tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0], "
    code += "[tf.config.LogicalDeviceConfiguration()] * 3); print(len(tf.config.list_logical_devices()))"
    assert run_fork(["-c", code], timeout=60).stdout == "3\n"


def test_an_error_has_its_traceback_and_a_signal_its_number():
    done = run_fork(["-c", "1 / 0"], timeout=20)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert run_fork(["-c", "import os; os.abort()"], timeout=20).returncode == -signal.SIGABRT


def test_one_that_takes_too_long_is_killed(tmp_path):
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(subprocess.TimeoutExpired):
        run_fork(["-c", code], timeout=2)
    _assert_ends(int((tmp_path / "pid").read_text()))


def test_it_ends_with_the_process_that_started_it():
    code = "import fork_server, os; print(fork_server.Fork(['-c', 'import time; time.sleep(60)']).pid, flush=True); "
    code += "os.kill(os.getpid(), 9)"
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(sys.modules["fork_server"].__file__)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    _assert_ends(int(done.stdout))


def test_pipes():
    process = Fork(["-c", "print(input()[::-1])"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(b"abc\n")
    process.stdin.close()
    assert (process.stdout.read(), process.wait(20), process.poll()) == (b"cba\n", 0, 0)


def _assert_ends(process):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("it still runs")
