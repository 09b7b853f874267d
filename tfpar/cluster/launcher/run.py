"""`launch`: a cluster of workers on this machine."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tfpar.checks import check_positive_integer
from tfpar.cluster.launcher.command import find_command
from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.cores import Share, core_numbers, divide_cores
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
    """Runs `command` in `workers` processes, each with its own TF_CONFIG, until all have ended.

    What they print goes to standard error, each line behind its worker's name. To be called from the main thread of a
    program that does nothing else.

    Args:
        command: a program, and its arguments.
        workers: how many.
        cores_per_worker: to how many cores each is bound; by default, the cores are divided evenly.
        limits: how long to wait for what.
        gpus_per_worker: how many each sees; by default, all that this process sees.

    Returns:
        The exit code, and the chief's last line on standard output.

    Raises:
        UserError: there is no such command, or there are not enough cores or GPUs.
    """
    check_positive_integer("workers", workers)
    command = find_command(command)
    cores = core_numbers()
    shares = divide_cores(workers, cores_per_worker, cores, bind=hasattr(os, "sched_setaffinity"))
    gpus = divide_gpus(workers, gpus_per_worker, os.environ)
    console = Console(sys.stderr.buffer)
    if cores_per_worker is None:
        console.line(_division(shares, len(cores)).encode())
    addresses = [f"{LOOPBACK}:{port}" for port in free_ports(workers)]
    terminal = sys.stderr.fileno() if sys.stderr.isatty() else None
    with Signals() as signals, Guard() as guard:
        started = [
            Worker(
                index,
                command,
                {**_environment(addresses, index, share), **gpus[index]},
                share,
                guard.entry,
                console,
                terminal if index == 0 else None,
                hides_early_log=LOG_LEVEL not in os.environ,
            )
            for index, share in enumerate(shares)
        ]
        supervisor = Supervisor(started, addresses, limits or Limits(), console, signals)
        supervisor.run()
        return report(started, supervisor, console, signals)


def _environment(addresses, index, share):
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    defaults = {LOG_LEVEL: "3"}
    # Lines of Python workers appear when they are printed, though it is to a pipe. To Python "" is as good as unset.
    unbuffered = os.environ.get("PYTHONUNBUFFERED") or "1"
    path = os.pathsep.join(filter(None, [STARTUP, os.environ.get("PYTHONPATH")]))
    settings = {"PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": path, "TF_CONFIG": json.dumps(config)}
    return {**defaults, **os.environ, **settings, **share.environment}


def _division(shares: Sequence[Share], cores: int):
    count, threads = len(shares), shares[0].threads
    workers = f"{count} worker{'s' if count > 1 else ''}"
    if count > cores:
        return f"[launch] {workers} share {cores} core{'s' if cores > 1 else ''}"
    return f"[launch] {workers}, {threads} core{'s' if threads > 1 else ''} each"
