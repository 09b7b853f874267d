"""Runs many cases in one process, or in one cluster of processes, so that a failure or a hang affects one case alone.

Starting TensorFlow takes longer than a case, so cases share processes. A case that fails or takes too long ends them,
and later cases get new ones.
"""

import ast
import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
from pathlib import Path

from fork_server import Fork

from tfpar.cluster.launcher.cores import CoreAllocation
from tfpar.cluster.launcher.ports import free_ports

START_S = 120
# Workers of one host exchange sums in shared memory, or by gRPC as workers of several hosts do.
TWO_WORKERS = ("multiworker2", "grpc2")


def case_names(script: Path, table: str = "CASES") -> list[str]:
    """List the cases of a table in a script, without running it."""
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == table:
            return [key.value for key in node.value.keys]
    raise LookupError(table)


def cluster_environments(workers: int) -> list[dict]:
    """Make the environment of each worker of a cluster on this machine: TF_CONFIG and thread limits."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    return [
        {
            **CoreAllocation(1, None).environment,
            "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}),
        }
        for i in range(workers)
    ]


def environments_of(setting: str) -> list[dict]:
    """Make the further environment variables of each process of a setting."""
    return cluster_environments(2) if setting in TWO_WORKERS else [{}]


def strategy_of(setting: str, timeout_s: float):
    """Make the strategy of a setting, whose name ends with the number of replicas, in one of its processes."""
    from tfpar.cluster import make_strategy, read_tf_config
    from tfpar.cluster.multiworker import make_with_server
    from tfpar.cluster.rendezvous import wait_for_workers

    name = setting.rstrip("0123456789")
    replicas = int(setting[len(name) :]) if name == "mirrored" else 0
    if name == "grpc":
        config = read_tf_config()
        wait_for_workers(config.workers, config.index, timeout_s)
        return make_with_server(config, timeout_s)
    return make_strategy(name, replicas, timeout_s=timeout_s)


def run_cases(command: list[str], names: list[str], make_environments, timeout_s: float) -> dict[str, list[dict]]:
    """Run cases in order.

    Args:
        command: arguments of Python, to which the names of the cases are appended. It prints one line of JSON, an
            object, for each.
        names: of the cases.
        make_environments: function that returns the further environment variables of each process of a new cluster.
        timeout_s: for each case; the first one of a process has `START_S` more.

    Returns:
        For each name the object of each process; {"error": reason} if it printed none.
    """
    results, remaining = {}, list(names)
    while remaining:
        with _processes([*command, *remaining], make_environments()) as processes:
            limit_s = timeout_s + START_S
            while remaining:
                name = remaining.pop(0)
                results[name] = [process.result(limit_s) for process in processes]
                limit_s = timeout_s
                if any("error" in result for result in results[name]):
                    break
    return results


class _Process:
    def __init__(self, command, environment, stderr):
        self._stderr = stderr
        self._lines = queue.Queue()
        self._process = Fork(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=stderr)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.decode())
        self._lines.put(None)

    def result(self, timeout_s):
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return {"error": f"took longer than {timeout_s} s\n{self._read_stderr()}"}
        if line is None:
            return {"error": f"the process ended\n{self._read_stderr()}"}
        try:
            return json.loads(line)
        except ValueError:
            return {"error": f"printed what is not JSON: {line!r}"}

    def _read_stderr(self):
        self._stderr.seek(0)
        return self._stderr.read()[-2000:]

    def end(self):
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def _processes(command, environments):
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in environments]
        processes = [_Process(command, *pair) for pair in zip(environments, files, strict=True)]
        try:
            yield processes
        finally:
            for process in processes:
                process.end()
