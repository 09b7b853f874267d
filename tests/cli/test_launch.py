"""`tfpar launch`, with real processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tfpar.cli import launch

pytestmark = pytest.mark.timeout(90)

PREAMBLE = """
import json, os, pathlib, signal, socket, subprocess, sys, time
config = json.loads(os.environ["TF_CONFIG"])
workers, index = config["cluster"]["worker"], config["task"]["index"]
"""
# Each worker, and a child of its own, write their numbers down and wait.
STUBBORN = """
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1], f"{index}.part").write_text(f"{os.getpid()} {child.pid}")
os.rename(f"{sys.argv[1]}/{index}.part", f"{sys.argv[1]}/{index}.pids")
time.sleep(600)
"""


def python(code):
    return ["python", "-c", PREAMBLE + code]


def lines_of(run, index):
    prefix = f"[worker {index}] "
    return [line.removeprefix(prefix) for line in run.stderr.splitlines() if line.startswith(prefix)]


def is_running(pid):
    """False for zombies: whoever inherits orphans here may not bury them."""
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"
    if os.path.isdir("/proc/self"):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def assert_gone(pids):
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in pids if is_running(pid)] == []


@contextlib.contextmanager
def launched(tmp_path, *options, code=STUBBORN, workers=2, **popen):
    """A launcher whose workers, and their children, are known to run; yields it and the numbers of all of them."""
    command = [sys.executable, "-m", "tfpar", "launch", "--workers", str(workers), *options, "--"]
    # Under nohup the tests, and so what they start, would not hear of a hang-up.
    popen |= {"text": True, "preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)}
    with subprocess.Popen([*command, *python(code), str(tmp_path)], **popen) as process:
        pids = []
        try:
            while len(list(tmp_path.glob("*.pids"))) < workers:
                assert process.poll() is None
                time.sleep(0.05)
            pids = [int(pid) for path in tmp_path.glob("*.pids") for pid in path.read_text().split()]
            yield process, pids
        finally:
            if process.poll() is None:
                process.terminate()


def test_help_comes_at_once(tfpar):
    run = tfpar("launch", "--help")
    assert run.returncode == 0 and run.user_s < 1
    assert all(option in run.stdout for option in ("--workers", "--cores_per_worker", "--start_timeout_s", "COMMAND"))
    assert "launch" in tfpar("--help").stdout


def test_it_needs_no_tensorflow(tfpar):
    python_options = ("-X", "importtime", "-m", "tfpar")
    run = tfpar("launch", "--workers", "1", "--", "true", python=python_options)
    assert run.returncode == 0
    assert " tfpar.cluster.launcher" in run.stderr
    assert " tensorflow" not in run.stderr and " keras" not in run.stderr


@pytest.mark.parametrize("count", [1, 3])
def test_each_worker_has_its_place_in_the_cluster(tfpar, count):
    run = tfpar("launch", "--workers", str(count), "--", *python("print(json.dumps(config), file=sys.stderr)"))
    assert (run.returncode, run.stdout) == (0, "")
    configs = [json.loads(line) for index in range(count) for line in lines_of(run, index)]
    assert [config["task"] for config in configs] == [{"type": "worker", "index": index} for index in range(count)]
    (addresses,) = {tuple(config["cluster"]["worker"]) for config in configs}
    assert len(set(addresses)) == count
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_the_chiefs_last_line_alone_is_on_stdout(tfpar):
    code = """
print("first")
print(json.dumps({"index": index}))
if index: time.sleep(0.5)
print("log", file=sys.stderr)
if index: print("late")
"""
    run = tfpar("launch", "--workers", "2", "--", *python(code))
    assert (run.returncode, run.stdout) == (0, '{"index": 0}\n')
    assert sorted(lines_of(run, 0)) == ["first", "log"]
    assert sorted(lines_of(run, 1)) == ["first", "late", "log", '{"index": 1}']
    division, *rest = run.stderr.splitlines()
    assert division.startswith("[launch] 2 workers")
    assert all(line.startswith("[worker ") for line in rest)


def test_no_newline_at_the_end(tfpar):
    run = tfpar("launch", "--workers", "2", "--", *python('sys.stderr.write("part"); sys.stdout.write("whole")'))
    assert (run.returncode, run.stdout) == (0, "whole\n")
    assert lines_of(run, 0) == ["part"] and sorted(lines_of(run, 1)) == ["part", "whole"]


def test_a_long_result_is_whole(tfpar):
    run = tfpar("launch", "--workers", "1", "--", *python('print("x" * 300_000)'))
    assert run.stdout == "x" * 300_000 + "\n"


def test_lines_do_not_mix(tfpar):
    code = """
for number in range(2000):
    os.write(2, b"%d-%d-" % (index, number)); os.write(2, b"end\\n")
"""
    run = tfpar("launch", "--workers", "3", "--", *python(code))
    for index in range(3):
        assert lines_of(run, index) == [f"{index}-{number}-end" for number in range(2000)]


def test_bytes_that_are_not_text(tmp_path):
    code = 'os.write(2, b"\\xff\\xfe\\x00\\n"); os.write(1, b"\\xc3\\n")'
    command = [sys.executable, "-m", "tfpar", "launch", "--workers", "1", "--", *python(code)]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0
    assert done.stdout == b"\xc3\n" and b"[worker 0] \xff\xfe\x00\n" in done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot bind processes to cores")
def test_workers_have_their_own_cores(tfpar):
    usable = os.sched_getaffinity(0)
    if len(usable) < 2:
        pytest.skip("one core")
    code = 'print(json.dumps([sorted(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"]]), file=sys.stderr)'
    run = tfpar("launch", "--workers", "2", "--cores_per_worker", "1", "--", *python(code))
    (first, threads), (second, _) = (json.loads(lines_of(run, index)[0]) for index in range(2))
    assert len(first) == len(second) == 1 and first != second and {*first, *second} <= usable
    assert threads == "1"
    assert "[launch]" not in run.stderr


def test_too_few_cores(tfpar):
    error = tfpar("launch", "--workers", "3", "--cores_per_worker", "5000", "--", "true").error
    assert "need 15000 cores" in error and "can be used here" in error


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "--workers"),
        (["--workers", "2"], "no command"),
        (["--workers", "2", "--"], "no command"),
        (["--workers", "0", "--", "true"], "from 1; got '0'"),
        (["--workers", "two", "--", "true"], "from 1; got 'two'"),
        (["--workers", "2", "--grace_s", "-1", "--", "true"], "seconds, from 0; got '-1'"),
        (["--workers", "2", "--finish_timeout_s", "nan", "--", "true"], "got 'nan'"),
        (["--workers", "2", "true"], "'true': the command follows --"),
        (["--workers", "2", "--colour", "--", "true"], "--colour"),
        (["--workers", "2", "--", "no-such-program"], "'no-such-program' was not found"),
        (["--workers", "2", "--", "."], "is a directory"),
    ],
)
def test_usage(tfpar, arguments, words):
    assert words in tfpar("launch", *arguments).error


def test_a_command_that_is_not_executable(tfpar, tmp_path):
    (tmp_path / "train.py").touch()
    assert "is not executable" in tfpar("launch", "--workers", "2", "--", tmp_path / "train.py").error


def test_a_file_that_only_looks_executable(tfpar, tmp_path):
    (tmp_path / "train").write_bytes(b"\x00\x01")
    (tmp_path / "train").chmod(0o755)
    run = tfpar("launch", "--workers", "2", "--", tmp_path / "train")
    assert (run.returncode, run.stdout) == (2, "")
    assert [line for line in run.stderr.splitlines() if "cannot run" in line and line.startswith("error: ")]


def test_a_mistake_that_all_workers_find_is_shown_once(tfpar):
    code = 'time.sleep(index / 2); print("error: flag --x", file=sys.stderr); print("lost"); sys.exit(2)'
    run = tfpar("launch", "--workers", "2", "--", *python(code))
    assert (run.returncode, run.stdout) == (2, "")
    assert [line for line in run.stderr.splitlines() if "flag --x" in line] == ["error: flag --x"]


SYMPTOM = """
if index == 0:
    time.sleep({symptom_s})
    print("tensorflow...UnavailableError: Connection reset by peer", file=sys.stderr)
    sys.exit(1)
time.sleep({cause_s})
print("the cause", file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.parametrize("symptom_s, cause_s", [(0.0, 1.0), (0.5, 0.0)])
def test_the_cause_is_reported_and_not_what_came_of_it(tfpar, symptom_s, cause_s):
    code = SYMPTOM.format(symptom_s=symptom_s, cause_s=cause_s)
    run = tfpar("launch", "--workers", "2", "--", *python(code))
    assert (run.returncode, run.stdout) == (7, "")
    assert run.stderr.splitlines()[-2:] == ["error: worker 1 failed first, with exit code 7:", "[worker 1] the cause"]


def test_a_symptom_alone_is_reported_as_it_is(tfpar):
    run = tfpar("launch", "--workers", "2", "--", *python(SYMPTOM.format(symptom_s=0, cause_s=600)))
    assert run.returncode == 1
    assert "error: worker 0 failed first, with exit code 1:" in run.stderr


def test_an_exception_stops_the_others_and_stdout_stays_empty(tfpar):
    code = """
print("result")
if index == 0: time.sleep(600)
time.sleep(0.3)
raise ValueError("broken")
"""
    run = tfpar("launch", "--workers", "3", "--", *python(code))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines()[-1].endswith("ValueError: broken")
    assert "result" in lines_of(run, 0)
    tail = run.stderr[run.stderr.index("error: worker") :].splitlines()
    assert len(tail) > 2 and len(tail) <= 21


def test_a_worker_that_is_killed(tfpar):
    code = """
if index == 1:
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.5)
print("UnavailableError", file=sys.stderr)
sys.exit(1)
"""
    run = tfpar("launch", "--workers", "2", "--", *python(code))
    assert (run.returncode, run.stdout) == (137, "")
    assert run.stderr.splitlines()[-1] == "error: worker 1 was killed by SIGKILL (signal 9)"


def test_workers_that_finish_before_the_chief(tfpar):
    code = 'time.sleep(2 if index == 0 else 0); print("done", index)'
    run = tfpar("launch", "--workers", "3", "--finish_timeout_s", "0", "--", *python(code))
    assert (run.returncode, run.stdout) == (0, "done 0\n")


def test_workers_that_do_not_finish_after_the_chief(tfpar):
    code = 'print("done"); time.sleep(600 if index else 0)'
    run = tfpar("launch", "--workers", "3", "--finish_timeout_s", "0.5", "--", *python(code))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines()[-1].startswith("error: worker 1, worker 2 did not finish within 0.5 s of the chief")


LISTEN = """
if str(index) not in sys.argv[1:]:
    server = socket.create_server(("127.0.0.1", int(workers[index].split(":")[1])))
"""


def test_workers_that_do_not_start(tfpar):
    options = ("--workers", "3", "--start_timeout_s", "4")
    run = tfpar("launch", *options, "--", *python(LISTEN + "time.sleep(600)"), "1")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines()[-1] == "error: worker 1 did not listen on the port in TF_CONFIG within 4 s"


def test_workers_that_start(tfpar):
    options = ("--workers", "2", "--start_timeout_s", "4")
    assert tfpar("launch", *options, "--", *python(LISTEN + "time.sleep(5)")).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(tmp_path, number):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with launched(tmp_path, "--grace_s", "0.5", **pipes) as (launcher, pids):
        launcher.send_signal(number)
        stdout, stderr = launcher.communicate(timeout=30)
    assert (launcher.returncode, stdout) == (128 + number, "")
    assert stderr.splitlines()[-1] == f"error: stopped by {number.name}"
    assert "Traceback" not in stderr
    assert_gone(pids)


def test_whoever_asks_twice_does_not_wait(tmp_path):
    with launched(tmp_path, "--grace_s", "600") as (launcher, pids):
        launcher.send_signal(signal.SIGINT)
        time.sleep(0.5)
        launcher.send_signal(signal.SIGINT)
        assert launcher.wait(30) == 130
    assert_gone(pids)


def test_workers_are_given_time_to_end(tmp_path):
    code = """
def end(*_):
    time.sleep(0.5)
    print("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1], f"{index}.pids").write_text(f"{os.getpid()}")
while True: time.sleep(1)
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with launched(tmp_path, code=code, **pipes) as (launcher, pids):
        launcher.terminate()
        stdout, stderr = launcher.communicate(timeout=30)
    assert (launcher.returncode, stdout) == (143, "")
    assert "[worker 0] saved" in stderr and "[worker 1] saved" in stderr
    assert_gone(pids)


def test_a_launcher_that_is_killed_leaves_nothing(tmp_path):
    with launched(tmp_path, stderr=subprocess.DEVNULL) as (launcher, pids):
        launcher.kill()
        launcher.wait()
    assert len(pids) == 4
    assert_gone(pids)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nobody_reads_what_the_workers_say(tmp_path, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    code = STUBBORN.replace("time.sleep(600)", 'while True: time.sleep(0.1); print("more")')
    with launched(tmp_path, "--grace_s", "0.5", code=code, stderr=subprocess.PIPE) as (launcher, pids):
        launcher.stderr.close()
        assert launcher.wait(30) == 128 + signal.SIGPIPE
    assert_gone(pids)


def test_nobody_reads_the_result():
    command = [sys.executable, "-m", "tfpar", "launch", "--workers", "1", "--", *python('print("x" * 300_000)')]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as launcher:
        launcher.stdout.close()
        (line,) = launcher.stderr.read().splitlines()
        assert line.startswith(b"[launch] ")
    assert launcher.returncode == 128 + signal.SIGPIPE


def test_ctrl_c_on_a_terminal(tmp_path):
    """All processes of the terminal's foreground get the signal, at any time."""
    code = """
signal.signal(signal.SIGTERM, signal.SIG_DFL)
pathlib.Path(sys.argv[1], f"{index}.pids").write_text(f"{os.getpid()}")
time.sleep(600)
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    with launched(tmp_path, code=code, **pipes) as (launcher, pids):
        os.killpg(launcher.pid, signal.SIGINT)
        stdout, stderr = launcher.communicate(timeout=30)
    assert (launcher.returncode, stdout) == (130, "")
    assert [line for line in stderr.splitlines() if not line.startswith("[launch]")] == ["error: stopped by SIGINT"]
    assert_gone(pids)


def test_ctrl_c_while_the_launcher_starts(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfpar.cluster.launcher.launch", interrupt)
    with pytest.raises(SystemExit) as caught:
        launch.main(["--workers", "1", "--", "true"])
    assert (caught.value.code, capsys.readouterr().err) == (130, "error: stopped by SIGINT\n")


def test_what_workers_leave_behind_is_ended(tfpar, tmp_path):
    code = f"""
child = subprocess.Popen(["sleep", "600"])
pathlib.Path({str(tmp_path)!r}, f"{{index}}.pids").write_text(f"{{child.pid}}")
print("done")
"""
    run = tfpar("launch", "--workers", "2", "--", *python(code))
    assert (run.returncode, run.stdout) == (0, "done\n")
    assert_gone([int(path.read_text()) for path in tmp_path.glob("*.pids")])


def read_terminal(fd):
    content = b""
    with contextlib.suppress(OSError):  # EIO: everybody has closed it
        while data := os.read(fd, 1 << 16):
            content += data
    os.close(fd)
    return content


def test_on_a_terminal_the_chief_shows_a_bar(tmp_path):
    code = """
if index: time.sleep(0.6); print("note"); sys.exit()
for step in range(3):
    sys.stderr.write(f"\\rstep {step}" + (" last" if step == 2 else ""))
    sys.stderr.flush()
    time.sleep(0.4)
sys.stderr.write("\\n")
print(os.isatty(2), os.isatty(1))
"""
    mine, theirs = os.openpty()
    command = [sys.executable, "-m", "tfpar", "launch", "--workers", "2", "--", *python(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = read_terminal(mine)
        assert process.stdout.read() == b"True False\n"
    rows = shown.replace(b"\x1b[K", b"").replace(b"\n", b"\r").split(b"\r")
    steps = [row for row in dict.fromkeys(rows) if row.startswith(b"[worker 0] ")]
    assert steps == [b"[worker 0] step 0", b"[worker 0] step 1", b"[worker 0] step 2 last"]
    assert b"[worker 1] note\r\n" in shown


NO_STRATEGY = """
import importlib.util
importlib.util.find_spec("keras")  # looks, and does not import
import keras, numpy, tensorflow, tfpar
from tfpar.errors import UserError
x, y = numpy.ones((4, 3)), numpy.ones((4, 1))
inputs = keras.Input((3,))
model, other = (cls(inputs, keras.layers.Dense(1)(inputs)) for cls in (keras.Model, tfpar.train.Model))
for each in (model, other):
    each.compile("sgd", "mse")
    each.evaluate(x, y, verbose=0)
def step():
    weight = model.trainable_variables[0]
    keras.optimizers.SGD().apply([tensorflow.ones_like(weight)], [weight])
for name, train in {
    "fit": lambda: model.fit(x, y, verbose=0),
    "train_on_batch": lambda: model.train_on_batch(x, y),
    "apply": step,
    "fit of tfpar": lambda: other.fit(x, y, verbose=0),
    "train_on_batch of tfpar": lambda: other.train_on_batch(x, y),
}.items():
    try: train()
    except UserError: print("refused", name)
config = os.environ.pop("TF_CONFIG")
model.fit(x, y, verbose=0)
os.environ["TF_CONFIG"] = config
model.fit(x, y, verbose=0)
"""


@pytest.mark.timeout(240)
def test_training_without_a_strategy_is_refused_and_all_else_is_not(tfpar, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    run = tfpar("launch", "--workers", "2", "--", *python(NO_STRATEGY))
    assert (run.returncode, run.stdout) == (2, "")
    names = ["fit", "train_on_batch", "apply", "fit of tfpar", "train_on_batch of tfpar"]
    assert [line for line in lines_of(run, 1) if "error: " not in line] == [f"refused {name}" for name in names]
    error = "error: TF_CONFIG names 2 workers, but this model is in no multi-worker strategy's scope"
    assert [line for line in run.stderr.splitlines() if error in line]
    assert "Traceback" not in run.stderr
    # Nothing but what the program prints.
    rows = [line for line in run.stderr.splitlines() if "refused" not in line and "error: " not in line]
    assert len(rows) == 1 and rows[0].startswith("[launch] 2 workers")


def test_python_starts_as_it_does_without_the_launcher(tfpar, tmp_path, monkeypatch):
    """A `sitecustomize` of the user's is run; an error that is not the user's mistake has its traceback."""
    (tmp_path / "sitecustomize.py").write_text('import builtins; builtins.started = "by the user"')
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    code = """
print(started, [entry for entry in sys.path if "startup" in entry], file=sys.stderr)
raise ValueError(sys.modules["sitecustomize"])
"""
    run = tfpar("launch", "--workers", "1", "--", *python(code))
    assert run.returncode == 1
    assert lines_of(run, 0)[:2] == ["by the user []", "Traceback (most recent call last):"]
    assert f"from '{tmp_path}" in run.stderr


LOG = """
lines = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795955171.356769    8969 cudart_stub.cc:31] early note",
    "W0000 00:00:1795955171.356769    8969 cudart_stub.cc:31] early warning",
    "E0000 00:00:1795955171.356769    8969 cuda.cc:31] early error",
    "I1129 12:59:31.356769    8969 train.py:31] note of the program",
    os.environ["TF_CPP_MIN_LOG_LEVEL"],
]
print(*lines, sep="\\n", file=sys.stderr)
"""


@pytest.mark.parametrize("level, shown", [(None, ["early error", "note of the program", "3"]), ("0", None)])
def test_tensorflows_notes_are_shown_where_asked_for(tfpar, monkeypatch, level, shown):
    if level is None:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    else:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    lines = lines_of(tfpar("launch", "--workers", "1", "--", *python(LOG)), 0)
    if shown is None:
        assert len(lines) == 6 and lines[-1] == "0"
    else:
        assert [line.rpartition("] ")[2] for line in lines] == shown


ALL_REDUCE = """
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3")
from tfpar.cluster.rendezvous import unreachable_workers, wait_for_workers
from tfpar.cluster.tf_config import read_tf_config
cluster = read_tf_config()
wait_for_workers(cluster.workers, cluster.index, 60)
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert unreachable_workers(cluster.workers, cluster.index) == []

@tf.function
def total():
    def replica():
        context = tf.distribute.get_replica_context()
        return context.all_reduce("sum", [tf.fill([1000], float(cluster.index + 1)) for _ in range(8)])
    return strategy.run(replica)

for _ in range(5):
    sums = total()
print(json.dumps({"sum": float(sums[0][0]), "replicas": strategy.num_replicas_in_sync}))
"""


@pytest.mark.timeout(240)
def test_tensorflow_reduces_over_two_workers(tfpar):
    run = tfpar("launch", "--workers", "2", "--start_timeout_s", "200", "--", *python(ALL_REDUCE))
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"sum": 3.0, "replicas": 2}
