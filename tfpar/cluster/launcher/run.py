"""`launch`: runs a cluster of workers on this machine, and restarts it after failures."""

import dataclasses
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfpar.checks import check_positive_integer
from tfpar.cluster.launcher.command import find_command
from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.cores import CoreAllocation, core_numbers, divide_cores
from tfpar.cluster.launcher.gpus import divide_gpus
from tfpar.cluster.launcher.guard import Guard
from tfpar.cluster.launcher.ports import LOOPBACK, free_ports
from tfpar.cluster.launcher.report import Outcome, report, show_held_output
from tfpar.cluster.launcher.signals import Signals
from tfpar.cluster.launcher.supervisor import Limits, Supervisor
from tfpar.cluster.launcher.worker import Worker
from tfpar.cluster.secret import SECRET

STARTUP = str(Path(__file__).with_name("startup"))
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
RESTARTS = "TFPAR_RESTARTS"


def launch(
    command: Sequence[str],
    workers: int,
    cores_per_worker: int | None = None,
    limits: Limits | None = None,
    gpus_per_worker: int | None = None,
    max_restarts: int = 0,
) -> Outcome:
    """Run `command` in `workers` processes, each with its own TF_CONFIG, until all have ended.

    Their output goes to standard error, each line with its worker's name as prefix. Call it from the main thread of a
    program that does nothing else.

    Args:
        command: a program, and its arguments.
        workers: number of processes.
        cores_per_worker: number of cores that each is bound to; None to divide all cores evenly.
        limits: time limits.
        gpus_per_worker: number of GPUs that each sees; None for all that this process sees.
        max_restarts: how often all workers are started again after a failure that is no user error. The command must
            continue from its last checkpoint by itself; TFPAR_RESTARTS in its environment counts the restarts.

    Returns:
        The exit code, and the chief's last line on standard output.

    Raises:
        UserError: there is no such command, or there are not enough cores or GPUs.
    """
    check_positive_integer("workers", workers)
    command = find_command(command)
    cores = core_numbers()
    allocations = divide_cores(workers, cores_per_worker, cores, bind=hasattr(os, "sched_setaffinity"))
    gpus = divide_gpus(workers, gpus_per_worker, os.environ)
    console = Console(sys.stderr.buffer)
    if cores_per_worker is None:
        console.line(_describe_cores(allocations, len(cores)).encode())
    job = _Job(command, allocations, gpus)
    with Signals() as signals:
        return _run_with_restarts(job, limits or Limits(), max_restarts, console, signals)


@dataclasses.dataclass(frozen=True)
class _Job:
    """What is run: a command, and the cores and GPUs of each worker."""

    command: Sequence[str]
    allocations: Sequence[CoreAllocation]
    gpus: Sequence[Mapping[str, str]]


def _run_with_restarts(job, limits, max_restarts, console, signals) -> Outcome:
    first_cause = None
    for restarts in range(max_restarts + 1):
        addresses = [f"{LOOPBACK}:{port}" for port in free_ports(len(job.allocations))]
        with Guard() as guard:
            workers = _start_workers(job, addresses, restarts, guard, console)
            supervisor = Supervisor(workers, addresses, limits, console, signals)
            supervisor.run()
        if not supervisor.can_restart:
            break
        first_cause = first_cause or supervisor.cause
        show_held_output(workers)
        if restarts < max_restarts:
            console.line(f"[launch] {supervisor.cause}; restart {restarts + 1} of {max_restarts}".encode())
            console.flush()
        elif max_restarts:
            console.line(f"[launch] no restart is left after {max_restarts}; first cause: {first_cause}".encode())
    return report(workers, supervisor, console, signals)


def _start_workers(job, addresses, restarts, guard, console) -> list[Worker]:
    terminal = sys.stderr.fileno() if sys.stderr.isatty() else None
    common = {
        RESTARTS: str(restarts),
        SECRET: secrets.token_hex(32),
        "TMPDIR": guard.directory,
    }
    return [
        Worker(
            index,
            job.command,
            {**_make_environment(addresses, index, allocation), **job.gpus[index], **common},
            allocation,
            guard.registration,
            console,
            terminal if index == 0 else None,
            hides_early_log=LOG_LEVEL not in os.environ,
        )
        for index, allocation in enumerate(job.allocations)
    ]


def _make_environment(addresses, index, allocation):
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    defaults = {LOG_LEVEL: "3"}
    # Python workers write each line at once, though to a pipe. Python treats "" as unset.
    unbuffered = os.environ.get("PYTHONUNBUFFERED") or "1"
    path = os.pathsep.join(filter(None, [STARTUP, os.environ.get("PYTHONPATH")]))
    settings = {"PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": path, "TF_CONFIG": json.dumps(config)}
    return {**defaults, **os.environ, **settings, **allocation.environment}


def _describe_cores(allocations: Sequence[CoreAllocation], cores: int) -> str:
    count, threads = len(allocations), allocations[0].threads
    workers = f"{count} worker{'s' if count > 1 else ''}"
    if count > cores:
        return f"[launch] {workers} share {cores} core{'s' if cores > 1 else ''}"
    return f"[launch] {workers}, {threads} core{'s' if threads > 1 else ''} each"
