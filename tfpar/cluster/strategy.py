"""`make_strategy`: one door to the `tf.distribute` strategies, which says what it chose and why."""

import dataclasses
import os

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.errors import UserError

STRATEGIES = ("auto", "one", "mirrored")


@dataclasses.dataclass(frozen=True)
class StrategyChoice:
    """Attributes:
    name: "one" or "mirrored".
    replicas: number of replicas.
    device_type: "CPU" or "GPU".
    reason: why, as the end of "since ...".
    """

    name: str
    replicas: int
    device_type: str
    reason: str

    def __str__(self):
        return f"{self.name}, {self.replicas} x {self.device_type}, since {self.reason}"


def choose_strategy(name: str, replicas: int, gpus: int) -> StrategyChoice:
    """Decides on a strategy from what was asked for and what there is.

    Args:
        name: one of `STRATEGIES`.
        replicas: how many replicas were asked for; 0: all GPUs, or one CPU device.
        gpus: how many GPUs this process sees.

    Raises:
        UserError: what was asked for does not exist here.
    """
    check_one_of("strategy", name, STRATEGIES)
    if name == "one" and replicas > 1:
        raise UserError(f"`replicas` must be 1 with strategy 'one'; got replicas={replicas}. Use strategy 'mirrored'.")
    if gpus and replicas > gpus:
        raise UserError(f"`replicas` is {replicas}, but this process sees {gpus} GPU(s). Use replicas={gpus}.")
    device_type = "GPU" if gpus else "CPU"
    if name == "one":
        return StrategyChoice("one", 1, device_type, "it was asked for")
    wanted = replicas or gpus or 1
    if name == "mirrored":
        return StrategyChoice("mirrored", wanted, device_type, "it was asked for")
    if wanted == 1:
        return StrategyChoice("one", 1, device_type, f"there is one {device_type} device to train on")
    return StrategyChoice("mirrored", wanted, device_type, f"there are {wanted} {device_type} devices to train on")


def make_strategy(name: str = "auto", replicas: int = 0):
    """Makes a `tf.distribute.Strategy`; on a machine without GPUs, `replicas` logical CPU devices carry a mirrored one.

    Args:
        name: "one", "mirrored", or "auto" to pick by the devices there are.
        replicas: number of replicas; 0 for all GPUs, or one CPU device.

    Returns:
        A `tf.distribute.Strategy`; its `tfpar_choice` is the `StrategyChoice`, whose text says what was chosen and why.

    Raises:
        UserError: what was asked for does not exist here, or TensorFlow has started its devices before this call.
    """
    if replicas:
        check_positive_integer("replicas", replicas)
    import tensorflow as tf

    choice = choose_strategy(name, replicas, len(tf.config.list_physical_devices("GPU")))
    if choice.name == "one":
        strategy = tf.distribute.get_strategy()
    else:
        if choice.device_type == "CPU":
            _split_cpu(tf, choice.replicas)
        strategy = tf.distribute.MirroredStrategy([f"{choice.device_type}:{i}" for i in range(choice.replicas)])
    strategy.tfpar_choice = choice
    return strategy


def usable_cores() -> int:
    """Cores of the CPU that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_lanes(replicas: int, global_batch_size: int) -> int:
    """How many batch lanes keep the cores of this process busy: see `tfpar.train.Model.lanes`.

    Args:
        replicas: of this process.
        global_batch_size: rows of a batch, over all replicas.

    Returns:
        Cores for each replica, as long as the lanes share its rows evenly; 1 on GPUs.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return 1
    cores = max(1, usable_cores() // replicas)
    rows = global_batch_size // replicas
    return max(lanes for lanes in range(1, cores + 1) if rows % lanes == 0)


def _split_cpu(tf, count: int):
    """Divides the CPU into logical devices, which TensorFlow allows only before it has started."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    present = tf.config.get_logical_device_configuration(cpu)
    if len(present or [None]) >= count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise UserError(
            f"Cannot make {count} CPU devices: TensorFlow has already started with {len(present or [None])}. "
            "Call tfpar.cluster.make_strategy before anything else uses TensorFlow."
        ) from error
