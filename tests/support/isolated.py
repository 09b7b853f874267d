"""Runs many cases in one process, or one cluster of processes, so that none can fail or hang another.

Starting TensorFlow costs more than a case, so cases share processes. A case that fails or takes too long ends them, and
those after it get new ones.
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

from tfpar.cluster.launcher.cores import CoreAllocation
from tfpar.cluster.launcher.ports import free_ports

START_S = 120
# Of one host, they hand over their sums in shared memory, or by gRPC as those of several hosts do.
TWO_WORKERS = ("multiworker2", "grpc2")


def case_names(script: Path, table: str = "CASES") -> list[str]:
    """Cases in one of a script's tables, read without running it."""
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == table:
            return [key.value for key in node.value.keys]
    raise LookupError(table)


def cluster_environments(workers: int) -> list[dict]:
    """TF_CONFIG of each worker of a cluster on this machine, and its share of threads."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    return [
        {
            **CoreAllocation(1, None).environment,
            "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}),
        }
        for i in range(workers)
    ]


def environments_of(setting: str) -> list[dict]:
    """For each process of a setting, what its environment has beside this one's."""
    return cluster_environments(2) if setting in TWO_WORKERS else [{}]


def strategy_of(setting: str, timeout_s: float):
    """The strategy of a setting, in one of its processes; its name ends with how many replicas there are."""
    from tfpar.cluster import make_strategy

    name = setting.rstrip("0123456789")
    replicas = int(setting[len(name) :]) if name == "mirrored" else 0
    strategy = make_strategy("multiworker" if name == "grpc" else name, replicas, timeout_s=timeout_s)
    if name == "grpc":
        strategy.tfpar_collectives = None
    return strategy


def run_cases(command: list[str], names: list[str], make_environments, timeout_s: float) -> dict[str, list[dict]]:
    """Runs cases, in order.

    Args:
        command: to which the names of the cases to run are added. It prints a JSON object for each, a line.
        names: of the cases.
        make_environments: function that returns, for each process of a new cluster, what its environment has beside
            this one's.
        timeout_s: for each case; the first one of a process has `START_S` more.

    Returns:
        For each name what each process printed; {"error": why} for one that did not.
    """
    results, left = {}, list(names)
    while left:
        with _processes([*command, *left], make_environments()) as processes:
            limit_s = timeout_s + START_S
            while left:
                name = left.pop(0)
                results[name] = [process.result(limit_s) for process in processes]
                limit_s = timeout_s
                if any("error" in result for result in results[name]):
                    break
    return results


class _Process:
    def __init__(self, command, environment, stderr):
        self._stderr = stderr
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def result(self, timeout_s):
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return {"error": f"took longer than {timeout_s} s\n{self._said()}"}
        if line is None:
            return {"error": f"the process ended\n{self._said()}"}
        try:
            return json.loads(line)
        except ValueError:
            return {"error": f"printed what is not JSON: {line!r}"}

    def _said(self):
        self._stderr.seek(0)
        return self._stderr.read()[-2000:]

    def end(self):
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def _processes(command, environments):
    with contextlib.ExitStack() as held:
        files = [held.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in environments]
        processes = [_Process(command, *pair) for pair in zip(environments, files, strict=True)]
        try:
            yield processes
        finally:
            for process in processes:
                process.end()
