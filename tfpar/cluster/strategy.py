"""`make_strategy`: chooses and makes a `tf.distribute` strategy, and states why."""

import dataclasses
import os
from typing import TYPE_CHECKING

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.cluster.tf_config import read_tf_config
from tfpar.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

STRATEGIES = ("auto", "one", "mirrored", "multiworker", "sequence", "tpu")

_made: dict = {}


@dataclasses.dataclass(frozen=True)
class StrategyChoice:
    """Chosen strategy.

    Attributes:
        name: one of `STRATEGIES`, except "auto".
        replicas: number of replicas, over all workers.
        device_type: "CPU", "GPU" or "TPU".
        reason: of the choice, as the end of "since ...".
        mesh_shape: of strategy "sequence", (data, sequence): see `make_strategy`; None for all replicas in one row.
    """

    name: str
    replicas: int
    device_type: str
    reason: str
    mesh_shape: tuple[int, int] | None = None

    def __str__(self):
        mesh = f" as a mesh of {self.mesh_shape[0]} x {self.mesh_shape[1]}" if self.mesh_shape else ""
        return f"{self.name}, {self.replicas} x {self.device_type}{mesh}, since {self.reason}"


@dataclasses.dataclass(frozen=True)
class Machines:
    """Devices and processes for training.

    Attributes:
        gpus, tpus: numbers of them that this process sees.
        workers: processes of the cluster; 0 without TF_CONFIG.
    """

    gpus: int = 0
    tpus: int = 0
    workers: int = 0


def choose_strategy(
    name: str, replicas: int, machines: Machines, mesh_shape: tuple[int, int] | None = None
) -> StrategyChoice:
    """Choose a strategy for a request and the available machines.

    Args:
        name: one of `STRATEGIES`.
        replicas: requested number; 0: all GPUs, or one CPU device.
        machines: devices and processes.
        mesh_shape: see `make_strategy`.

    Raises:
        UserError: the request cannot be met here.
    """
    check_one_of("strategy", name, STRATEGIES)
    if mesh_shape is None:
        return _choose_without_mesh(name, replicas, machines)
    mesh_shape = _check_mesh_shape(mesh_shape, name)
    size = mesh_shape[0] * mesh_shape[1]
    choice = _choose_without_mesh(name, replicas or (0 if machines.workers > 1 else size), machines)
    if choice.replicas != size:
        raise UserError(
            f"`mesh_shape` must have one replica for each of its {mesh_shape[0]} x {mesh_shape[1]} positions; got "
            f"{choice.replicas} replica(s). Use a mesh_shape whose product is {choice.replicas}."
        )
    return dataclasses.replace(choice, mesh_shape=mesh_shape)


def _check_mesh_shape(mesh_shape, name) -> tuple[int, int]:
    if name != "sequence":
        raise UserError(f"`mesh_shape` must be None with strategy {name!r}; got {mesh_shape}. Use strategy 'sequence'.")
    numbers = tuple(mesh_shape)
    if len(numbers) != 2 or not all(isinstance(number, int) and number > 0 for number in numbers):
        raise UserError(
            f"`mesh_shape` must be two positive integers, (data, sequence); got {mesh_shape}. Use (1, N) for N slices "
            "of the time axis."
        )
    return numbers


def _choose_without_mesh(name, replicas, machines):
    if name == "multiworker" or machines.workers > 1:
        return _choose_multiworker(name, replicas, machines)
    if name == "tpu" or (name == "auto" and machines.tpus):
        return _choose_tpu(name, replicas, machines)
    return _choose_on_one_machine(name, replicas, machines.gpus)


def _choose_multiworker(name, replicas, machines):
    if name not in ("auto", "multiworker", "sequence"):
        raise UserError(
            f"strategy {name!r} trains in one process, but TF_CONFIG names {machines.workers} workers, each of which "
            "would train a model of its own. Use strategy 'multiworker' or 'auto', or 'sequence'."
        )
    if not machines.workers:
        raise UserError(
            "strategy 'multiworker' needs the environment variable TF_CONFIG, which names the workers. Run the command "
            "by `tfpar launch --workers N -- COMMAND`, or start it on each machine with its TF_CONFIG."
        )
    there = machines.workers * max(1, machines.gpus)
    if replicas not in (0, there):
        raise UserError(
            f"`replicas` is {replicas}, but {machines.workers} worker(s) have {there} replica(s). "
            f"Leave it out: with strategy {name!r} the workers say how many there are."
        )
    device_type = "GPU" if machines.gpus else "CPU"
    reason = f"TF_CONFIG names {machines.workers} workers" if name == "auto" else "it was requested"
    return StrategyChoice("multiworker" if name == "auto" else name, there, device_type, reason)


def _choose_tpu(name, replicas, machines):
    if not machines.tpus:
        raise UserError(
            "strategy 'tpu' needs a TPU, and TensorFlow finds none. Run on a TPU VM with the package tensorflow-tpu, "
            "or set TPU_NAME to the name of a Cloud TPU."
        )
    if replicas not in (0, machines.tpus):
        raise UserError(f"`replicas` is {replicas}, but there are {machines.tpus} TPU cores. Leave it out.")
    reason = "it was requested" if name == "tpu" else f"there are {machines.tpus} TPU cores to train on"
    return StrategyChoice("tpu", machines.tpus, "TPU", reason)


def _choose_on_one_machine(name, replicas, gpus):
    if name == "one" and replicas > 1:
        raise UserError(f"`replicas` must be 1 with strategy 'one'; got replicas={replicas}. Use strategy 'mirrored'.")
    if gpus and replicas > gpus:
        raise UserError(f"`replicas` is {replicas}, but this process sees {gpus} GPU(s). Use replicas={gpus}.")
    device_type = "GPU" if gpus else "CPU"
    if name == "one":
        return StrategyChoice("one", 1, device_type, "it was requested")
    wanted = replicas or gpus or 1
    if name in ("mirrored", "sequence"):
        return StrategyChoice(name, wanted, device_type, "it was requested")
    if wanted == 1:
        return StrategyChoice("one", 1, device_type, f"there is one {device_type} device to train on")
    return StrategyChoice("mirrored", wanted, device_type, f"there are {wanted} {device_type} devices to train on")


def make_strategy(
    name: str = "auto", replicas: int = 0, timeout_s: float = 300.0, mesh_shape: tuple[int, int] | None = None
) -> "tf.distribute.Strategy":
    """Make a `tf.distribute.Strategy`; without GPUs one of one process has `replicas` logical CPU devices.

    A later call with the same arguments returns the same strategy: TensorFlow numbers the collectives of each strategy
    from 0, so those of a second one on the same devices would be mistaken for those of the first.

    Args:
        name: "one", "mirrored", "multiworker" (processes that TF_CONFIG names), "tpu", or "auto" for the
            first of these that exist: several workers, a TPU, GPUs. "sequence" has the replicas of "multiworker" where
            TF_CONFIG names several workers, else of "mirrored", and a `tfpar.train.Model` divides the time axis of each
            batch over them instead of its rows.
        replicas: number of replicas; 0 for all GPUs, or one CPU device.
        timeout_s: longest wait for another worker, at the start and in each collective.
        mesh_shape: shape of the mesh of replicas, (data, sequence), for strategy "sequence": the rows of a batch are
            divided over its first axis, and the time axis over its second one. Replica r is at index
            (r // sequence, r % sequence), as in `keras.distribution.DeviceMesh` and `jax.make_mesh`. None:
            (1, replicas).

    Returns:
        A `tf.distribute.Strategy`; its `tfpar_choice` is the `StrategyChoice`, which `str` describes.

    Raises:
        UserError: the request cannot be met here, TensorFlow has started its devices before this call, or the strategy
            would collide with one of an earlier call.
        WorkerMissingError: another worker did not start in time.
    """
    if replicas:
        check_positive_integer("replicas", replicas)
    check_one_of("strategy", name, STRATEGIES)
    config = read_tf_config()
    import tensorflow as tf

    from tfpar.cluster import tpu

    gpus = len(tf.config.list_physical_devices("GPU"))
    tpus = tpu.connect() if name == "tpu" else len(tf.config.list_physical_devices("TPU"))
    choice = choose_strategy(name, replicas, Machines(gpus, tpus, len(config.workers) if config else 0), mesh_shape)
    if choice.name == "one":
        strategy = tf.distribute.get_strategy()
    else:
        key = (choice.name, choice.device_type, choice.replicas, choice.mesh_shape)
        if key not in _made:
            _check_collisions(choice)
            _made[key] = _make(choice, config, timeout_s)
        strategy = _made[key]
    strategy.tfpar_choice = choice
    return strategy


def _make(choice, config, timeout_s):
    import tensorflow as tf

    from tfpar.cluster import multiworker, tpu

    if choice.name == "multiworker" or (config and len(config.workers) > 1):
        return multiworker.make_multiworker_strategy(config, timeout_s, on_cpu=choice.device_type == "CPU")
    if choice.name == "tpu":
        return tpu.make_tpu_strategy()
    devices = [f"{choice.device_type}:{i}" for i in range(choice.replicas)]
    if choice.device_type == "GPU":
        return tf.distribute.MirroredStrategy(devices)
    _split_cpu(tf, choice.replicas)
    # Logical devices share one memory, where copies are faster than a ring, and a failed step blocks no later one.
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())


def _check_collisions(choice):
    """Refuse a second strategy of several workers or GPUs, whose collectives would be mistaken for the first's."""
    if read_tf_config() and {name for name, *_ in _made} | {choice.name} >= {"multiworker", "sequence"}:
        raise UserError(
            "`name` must be 'multiworker' or 'sequence' in one process, since collectives of two strategies would be "
            f"mixed up; got {choice.name!r} after the other. Start a new process."
        )
    if read_tf_config() and choice.name in {name for name, *_ in _made}:
        raise UserError(
            "`mesh_shape` must stay the same in this process, since collectives of two strategies would be mixed up; "
            f"got {choice.mesh_shape} after another. Start a new process."
        )
    one_process = ("mirrored", "sequence")
    former = [
        (name, replicas, mesh) for name, device, replicas, mesh in _made if name in one_process and device == "GPU"
    ]
    if former and choice.name in one_process and choice.device_type == "GPU":
        raise UserError(
            f"`name`, `replicas` and `mesh_shape` must stay {former[0]} in this process, since collectives of two sets "
            f"of GPUs would be mixed up; got {(choice.name, choice.replicas, choice.mesh_shape)}. Start a new process."
        )


def divides_time(strategy: "tf.distribute.Strategy") -> bool:
    """Return whether several replicas divide the time axis of batches instead of the rows: strategy "sequence"."""
    return time_slice_count(strategy) > 1


def time_slice_count(strategy: "tf.distribute.Strategy") -> int:
    """Return the number of slices into which replicas divide the time axis of batches; 1 if they do not."""
    choice = getattr(strategy, "tfpar_choice", None)
    if choice is None or choice.name != "sequence":
        return 1
    return choice.mesh_shape[1] if choice.mesh_shape else strategy.num_replicas_in_sync


def usable_cores() -> int:
    """Return the number of CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_lanes(strategy: "tf.distribute.Strategy", global_batch_size: int) -> int:
    """Return the number of lanes that keeps the cores of this process busy: see `tfpar.train.Model.lanes`.

    Args:
        strategy: of the model.
        global_batch_size: rows of a batch, over all replicas.

    Returns:
        Cores for each replica, or fewer so that they divide its rows evenly; 1 on GPUs and TPUs, and where replicas
        divide the time axis.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("TPU"):
        return 1
    if divides_time(strategy):
        return 1
    # The default strategy does not name its device.
    replicas_here = 1 if strategy.num_replicas_in_sync == 1 else len(strategy.extended.worker_devices)
    cores = max(1, usable_cores() // replicas_here)
    rows = global_batch_size // strategy.num_replicas_in_sync
    return max(lanes for lanes in range(1, cores + 1) if rows % lanes == 0)


def keep_operations_on_one_thread() -> bool:
    """Run each of TensorFlow's own operations on one thread, so that lanes and replicas have a core each.

    Convolutions of several lanes wait for each other if each uses all cores: a network for images trained on 1,070
    images a second, and on 1,420 with this. XLA's programs use threads of the same pool, and are slower with this. With
    a GPU it does nothing.

    Returns:
        False if TensorFlow has started with more threads, which cannot be changed then, else True.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return True
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        return False
    return True


def _split_cpu(tf, count: int):
    """Divide the CPU into logical devices, which TensorFlow allows only before it has started."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    present = tf.config.get_logical_device_configuration(cpu)
    if len(present or [None]) >= count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise UserError(
            f"Cannot make {count} CPU devices: TensorFlow has already started with {len(present or [None])}. "
            "Call tfpar.cluster.make_strategy before anything else uses TensorFlow, such as a tensor, a dataset, "
            "`adapt` or a model."
        ) from error
