"""TF_CONFIG: who the workers of a cluster are, and which of them this process is."""

import dataclasses
import json
import os
import re
from collections.abc import Mapping

from tfpar.errors import UserError

EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\[\]\s]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>[0-9]{1,5})")

_LONGEST_SHOWN = 500


@dataclasses.dataclass(frozen=True)
class TfConfig:
    """Attributes:
    workers: "host:port" of each worker, the chief first.
    index: place of this process in `workers`.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Is this the worker that writes checkpoints and reports?"""
        return self.index == 0

    @property
    def address(self) -> str:
        """Where this process listens."""
        return self.workers[self.index]


def read_tf_config(environment: Mapping[str, str] | None = None) -> TfConfig | None:
    """Reads TF_CONFIG.

    A cluster may name a "chief" beside its workers, as TensorFlow allows; it is then worker 0, and the first of the
    "worker" job is worker 1.

    Args:
        environment: where to look for TF_CONFIG; this process' environment by default.

    Returns:
        The cluster, or None if TF_CONFIG is unset or empty.

    Raises:
        UserError: TF_CONFIG is not what TensorFlow would understand, or names tasks other than workers.
    """
    text = (os.environ if environment is None else environment).get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"TF_CONFIG is not JSON ({error}); got {_start(text)!r}. Expected such as {EXAMPLE}") from error
    cluster, task = _part(config, "cluster"), _part(config, "task")
    chief, workers = _jobs(cluster)
    return TfConfig(tuple(chief + workers), _index(task, chief, workers))


def split_address(address: str) -> tuple[str, int]:
    """Splits "host:port", or "[host]:port" where the host is an IPv6 address.

    Raises:
        UserError: there is no host, or no port from 1 to 65535.
    """
    parts = ADDRESS.fullmatch(address)
    if parts is None or not 1 <= int(parts["port"]) <= 65535:
        raise UserError(f"the address of a worker must be host:port, with a port from 1 to 65535; got {address!r}")
    return parts["ipv6"] or parts["host"], int(parts["port"])


def _part(config, name):
    if not isinstance(config, dict) or not isinstance(config.get(name), dict):
        raise UserError(f"TF_CONFIG must hold an object {name!r}, as in {EXAMPLE}; got {_start(repr(config))}")
    return config[name]


def _start(text):
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def _jobs(cluster):
    """The addresses of the chief, if it has a job of its own, and of the workers."""
    strange = sorted(set(cluster) - {"chief", "worker"})
    if strange:
        raise UserError(f"the cluster in TF_CONFIG may have the jobs 'worker' and 'chief' alone; got {strange}")
    chief, workers = (cluster.get(job, []) for job in ("chief", "worker"))
    for job, addresses in (("chief", chief), ("worker", workers)):
        if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
            raise UserError(f"job {job!r} in TF_CONFIG must be a list of addresses 'host:port'; got {addresses!r}")
    if len(chief) > 1:
        raise UserError(f"TF_CONFIG may name one chief; got {chief}")
    everyone = chief + workers
    if not everyone:
        raise UserError(f"the cluster in TF_CONFIG has no workers; expected such as {EXAMPLE}")
    for address in everyone:
        split_address(address)
    twice = sorted({address for address in everyone if everyone.count(address) > 1})
    if twice:
        raise UserError(f"each worker in TF_CONFIG needs an address of its own; got {', '.join(twice)} more than once")
    return chief, workers


def _index(task, chief, workers):
    """The place of this task among all workers."""
    job, index = task.get("type"), task.get("index")
    if job not in ("chief", "worker"):
        raise UserError(f"the task type in TF_CONFIG must be 'worker' or 'chief'; got {job!r}")
    if isinstance(index, str) and re.fullmatch("[0-9]{1,9}", index):  # TensorFlow takes "0" for 0
        index = int(index)
    count = len(chief if job == "chief" else workers)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count:
        raise UserError(
            f"the task index in TF_CONFIG must be an integer from 0, below the {count} task(s) of job {job!r}; "
            f"got {index!r}"
        )
    return index if job == "chief" else len(chief) + index
