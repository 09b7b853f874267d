"""`launch`: runs a cluster of workers on this machine."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tfpar.checks import check_positive_integer
from tfpar.cluster.launcher.command import find_command
from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.cores import CoreAllocation, core_numbers, divide_cores
from tfpar.cluster.launcher.gpus import divide_gpus
from tfpar.cluster.launcher.guard import Guard
from tfpar.cluster.launcher.ports import LOOPBACK, free_ports
from tfpar.cluster.launcher.report import Outcome, report
from tfpar.cluster.launcher.signals import Signals
from tfpar.cluster.launcher.supervisor import Limits, Supervisor
from tfpar.cluster.launcher.worker import Worker

STARTUP = str(Path(__file__).with_name("startup"))
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def launch(
    command: Sequence[str],
    workers: int,
    cores_per_worker: int | None = None,
    limits: Limits | None = None,
    gpus_per_worker: int | None = None,
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
    addresses = [f"{LOOPBACK}:{port}" for port in free_ports(workers)]
    terminal = sys.stderr.fileno() if sys.stderr.isatty() else None
    with Signals() as signals, Guard() as guard:
        started = [
            Worker(
                index,
                command,
                {**_make_environment(addresses, index, allocation), **gpus[index]},
                allocation,
                guard.registration,
                console,
                terminal if index == 0 else None,
                hides_early_log=LOG_LEVEL not in os.environ,
            )
            for index, allocation in enumerate(allocations)
        ]
        supervisor = Supervisor(started, addresses, limits or Limits(), console, signals)
        supervisor.run()
        return report(started, supervisor, console, signals)


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
