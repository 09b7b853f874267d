"""Starts Python programs as forks of one process that has imported TensorFlow, since that takes eight seconds.

All processes of pytest share the server. The first one that needs it starts it, and it ends when pytest does. Programs
get arguments, environment, directory and streams as from `subprocess`. TensorFlow itself starts in each of them, so
flags and numbers of threads are their own.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ADDRESS = "TFPAR_TEST_FORK_SERVER"  # environment variable: path of the server's socket
START_S = 300


class Fork:
    """A program, with what `subprocess.Popen` has of the same names.

    Args:
        arguments: of Python: a script, or `-c` or `-m`, and its arguments.
        env, cwd, start_new_session: as in `subprocess.Popen`.
        stdin, stdout, stderr: files, or None for the null device; `subprocess.PIPE`, too, but for `stderr`.
        kill_at_epoch: number of the epoch whose beginning kills the program; 0: none.
    """

    def __init__(
        self,
        arguments,
        *,
        env=None,
        cwd=None,
        stdin=None,
        stdout=None,
        stderr=None,
        start_new_session=False,
        kill_at_epoch=0,
    ):
        self.args, self.returncode, self.stdin, self.stdout = list(map(os.fspath, arguments)), None, None, None
        request = {
            "arguments": self.args,
            "env": dict(os.environ if env is None else env),
            "cwd": os.fspath(cwd or os.getcwd()),
            "start_new_session": start_new_session,
            "kill_at_epoch": kill_at_epoch,
        }
        with contextlib.ExitStack() as ours:
            null = ours.enter_context(open(os.devnull, "r+b", buffering=0))
            streams = [null if stream is None else stream for stream in (stdin, stdout, stderr)]
            if stdin == subprocess.PIPE:
                read, write = os.pipe()
                streams[0], self.stdin = ours.enter_context(open(read, "rb")), open(write, "wb")
            if stdout == subprocess.PIPE:
                read, write = os.pipe()
                streams[1], self.stdout = ours.enter_context(open(write, "wb", buffering=0)), open(read, "rb")
            self._connection = _connect()
            content = json.dumps(request).encode()
            socket.send_fds(self._connection, [len(content).to_bytes(4)], [stream.fileno() for stream in streams])
            self._connection.sendall(content)
        self._replies = self._connection.makefile("r")
        self.pid = int(self._replies.readline())

    def wait(self, timeout=None):
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = int(self._replies.readline())
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout) from None
        return self.returncode

    def poll(self):
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def kill(self):
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def run_fork(arguments, *, timeout, **options) -> subprocess.CompletedProcess:
    """Run a program; return its exit code, stdout and stderr, texts. It is killed after `timeout` seconds."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = Fork(arguments, stdout=stdout, stderr=stderr, **options)
        try:
            process.wait(timeout)
        finally:
            process.kill()
        texts = []
        for stream in (stdout, stderr):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess(process.args, process.returncode, *texts)


def _connect() -> socket.socket:
    """Connect to the server, which is started if nobody has."""
    import fcntl

    address = Path(os.environ[ADDRESS])
    with open(address.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            with open(address.with_suffix(".log"), "wb") as log:
                command = [sys.executable, __file__, str(address), os.environ[f"{ADDRESS}_OWNER"]]
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            end = time.monotonic() + START_S
            while not address.exists():
                assert time.monotonic() < end, address.with_suffix(".log").read_text()
                time.sleep(0.05)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(address))
    return connection


def _serve(address: str, owner: int) -> None:
    """Fork for each connection until the process `owner` ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks that watch programs
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{address}.new")
        server.listen(64)
        os.rename(f"{address}.new", address)
        while os.path.exists(f"/proc/{owner}") or not os.path.exists("/proc"):
            if not select.select([server], [], [], 1)[0]:
                continue
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _watch(connection)
                os._exit(0)
            connection.close()


def _watch(connection: socket.socket) -> None:
    """Run the program that a client asks for; send its process and its exit code. It does not outlive the client."""
    length, streams, _, _ = socket.recv_fds(connection, 4, 3)
    content = connection.recv(int.from_bytes(length), socket.MSG_WAITALL)
    ended, note_end = socket.socketpair()
    note_end.setblocking(False)
    signal.set_wakeup_fd(note_end.fileno())
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    process = os.fork()
    if process == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (ended, note_end, connection):
            each.close()
        _become(json.loads(content), streams)
    for stream in streams:
        os.close(stream)
    connection.sendall(b"%d\n" % process)
    if connection in select.select([connection, ended], [], [])[0]:
        os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(b"%d\n" % code)


def _become(request: dict, streams: list[int]) -> None:
    """Set this process up as Python would be, run the program, and end."""
    if request["start_new_session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    if request["kill_at_epoch"]:
        _die_at_epoch(request["kill_at_epoch"])
    _end_after(lambda: _run_program(*request["arguments"]))


def _run_program(program: str, *arguments: str) -> None:
    import runpy
    import types

    sys.path[0] = "" if program in ("-c", "-m") else str(Path(program).parent)
    sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
    if program == "-c":
        sys.argv = ["-c", *arguments[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(arguments[0], "<string>", "exec"), main.__dict__)
    elif program == "-m":
        sys.argv = list(arguments)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [program, *arguments]
        runpy.run_path(program, run_name="__main__")


def _die_at_epoch(epoch: int) -> None:
    """Let the process be killed when that epoch begins, as if the machine went down."""
    import keras

    begin = keras.callbacks.CallbackList.on_epoch_begin

    def begin_or_die(self, number, logs=None):
        if number == epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        begin(self, number, logs)

    keras.callbacks.CallbackList.on_epoch_begin = begin_or_die


def _end_after(run) -> None:
    """End the process with the exit code of `run`, but spare it seconds for the modules' memory to be freed."""
    import atexit
    import traceback

    code = 0
    try:
        run()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _import_all() -> None:
    """Import what programs need. None of it starts a thread."""
    import ai_edge_litert.interpreter  # noqa: F401
    import tensorflow  # noqa: F401
    import tokenizers  # noqa: F401

    import tfpar.cli.main
    import tfpar.cli.predict
    import tfpar.cli.verify
    import tfpar.data
    import tfpar.export
    import tfpar.models
    import tfpar.train  # noqa: F401

    fork_converters()


def fork_converters() -> None:
    """Let TFLite converters be forks, too."""
    from tfpar.export.conversion import converter

    start = converter.start_process

    def start_fork(command, **options):
        if command[0] != sys.executable or command[1] != "-m":
            return start(command, **options)
        return Fork(command[1:], **options)

    converter.start_process = start_fork


if __name__ == "__main__":
    _import_all()
    _serve(sys.argv[1], int(sys.argv[2]))
