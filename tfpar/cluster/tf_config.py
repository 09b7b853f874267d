"""TF_CONFIG: the workers of a cluster, and the index of this process."""

import dataclasses
import json
import os
import re
from collections.abc import Mapping

from tfpar.errors import UserError

EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\[\]\s]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>[0-9]{1,5})")

_MAX_SHOWN_CHARACTERS = 500


@dataclasses.dataclass(frozen=True)
class TfConfig:
    """Workers of a cluster.

    Attributes:
        workers: "host:port" of each worker, the chief first.
        index: of this process in `workers`.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this is the worker that writes checkpoints and reports."""
        return self.index == 0

    @property
    def address(self) -> str:
        """Address at which this process listens."""
        return self.workers[self.index]


def read_tf_config(environment: Mapping[str, str] | None = None) -> TfConfig | None:
    """Read TF_CONFIG.

    A cluster may name a "chief" in addition to its workers, as in TensorFlow; it is then worker 0, and the first of the
    "worker" job is worker 1.

    Args:
        environment: variables with TF_CONFIG; None for those of this process.

    Returns:
        The cluster, or None if TF_CONFIG is unset or empty.

    Raises:
        UserError: TF_CONFIG is invalid, or names tasks other than workers.
    """
    text = (os.environ if environment is None else environment).get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"TF_CONFIG is not JSON ({error}); got {_truncate(text)!r}. Expected such as {EXAMPLE}"
        ) from error
    cluster, task = _get_object(config, "cluster"), _get_object(config, "task")
    chief, workers = _read_jobs(cluster)
    return TfConfig(tuple(chief + workers), _read_index(task, chief, workers))


def split_address(address: str) -> tuple[str, int]:
    """Split "host:port", or "[host]:port" for an IPv6 address.

    Raises:
        UserError: there is no host, or no port from 1 to 65535.
    """
    match = ADDRESS.fullmatch(address)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise UserError(f"the address of a worker must be host:port, with a port from 1 to 65535; got {address!r}")
    return match["ipv6"] or match["host"], int(match["port"])


def _get_object(config, name):
    if not isinstance(config, dict) or not isinstance(config.get(name), dict):
        raise UserError(f"TF_CONFIG must hold an object {name!r}, as in {EXAMPLE}; got {_truncate(repr(config))}")
    return config[name]


def _truncate(text):
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else text[:_MAX_SHOWN_CHARACTERS] + "..."


def _read_jobs(cluster):
    """Return the addresses of the chief, if it has a job of its own, and of the workers."""
    unknown = sorted(set(cluster) - {"chief", "worker"})
    if unknown:
        raise UserError(f"the cluster in TF_CONFIG may have the jobs 'worker' and 'chief' alone; got {unknown}")
    chief, workers = (cluster.get(job, []) for job in ("chief", "worker"))
    for job, addresses in (("chief", chief), ("worker", workers)):
        if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
            raise UserError(f"job {job!r} in TF_CONFIG must be a list of addresses 'host:port'; got {addresses!r}")
    if len(chief) > 1:
        raise UserError(f"TF_CONFIG may name one chief; got {chief}")
    addresses = chief + workers
    if not addresses:
        raise UserError(f"the cluster in TF_CONFIG has no workers; expected such as {EXAMPLE}")
    for address in addresses:
        split_address(address)
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice:
        raise UserError(f"each worker in TF_CONFIG needs an address of its own; got {', '.join(twice)} more than once")
    return chief, workers


def _read_index(task, chief, workers):
    """Return the index of this task among all workers."""
    job, index = task.get("type"), task.get("index")
    if job not in ("chief", "worker"):
        raise UserError(f"the task type in TF_CONFIG must be 'worker' or 'chief'; got {job!r}")
    if isinstance(index, str) and re.fullmatch("[0-9]{1,9}", index):  # TensorFlow accepts "0" for 0
        index = int(index)
    count = len(chief if job == "chief" else workers)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count:
        raise UserError(
            f"the task index in TF_CONFIG must be an integer from 0, below the {count} task(s) of job {job!r}; "
            f"got {index!r}"
        )
    return index if job == "chief" else len(chief) + index
