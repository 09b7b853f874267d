"""Multi-worker strategies: several processes that train one model, and errors that name a lost one."""

import contextlib
import os
import re
import signal
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfpar.cluster.loopback_only import are_loopback, bind_to_loopback
from tfpar.cluster.rendezvous import unreachable_workers, wait_for_workers
from tfpar.cluster.start_watch import limited_start
from tfpar.cluster.tf_config import TfConfig, read_tf_config, split_address
from tfpar.errors import UserError, WorkerLostError

if TYPE_CHECKING:
    import tensorflow as tf


def make_multiworker_strategy(
    config: TfConfig, timeout_s: float, on_cpu: bool
) -> "tf.distribute.MultiWorkerMirroredStrategy":
    """Make a `tf.distribute.MultiWorkerMirroredStrategy` once all workers have started.

    Workers on the CPU of one host exchange all tensors in shared memory, and no server is started. Otherwise
    TensorFlow's gRPC server, which has no authentication, listens on all interfaces.

    Args:
        config: the cluster.
        timeout_s: longest wait for another worker, at the start and in each collective.
        on_cpu: whether there is no GPU.

    Returns:
        The strategy; its `tfpar_collectives` are `SharedMemoryCollectives` if all workers are CPUs of one host, else
        None.

    If a worker is lost while TensorFlow's server starts, TensorFlow would hang: then this process is killed, and a line
    on standard error names the lost worker.

    Raises:
        UserError: TensorFlow has started its devices before this call, and needs its server.
        WorkerMissingError: another worker did not start in time.
    """
    on_one_host = wait_for_workers(config.workers, config.index, timeout_s)
    if on_cpu and on_one_host:
        return _make_without_server(config, timeout_s)
    return make_with_server(config, timeout_s)


def _make_without_server(config, timeout_s):
    from tfpar.cluster.gather import TensorGather  # here: they import TensorFlow
    from tfpar.cluster.shared_memory import SharedMemoryCollectives
    from tfpar.tensorflow_private import StrategyWithoutServer

    collectives = SharedMemoryCollectives(config.workers, config.index, timeout_s)
    gather = TensorGather(collectives, len(config.workers))
    strategy = StrategyWithoutServer(gather, len(config.workers), config.index)
    strategy.tfpar_collectives = collectives
    return strategy


def make_with_server(config: TfConfig, timeout_s: float) -> "tf.distribute.MultiWorkerMirroredStrategy":
    """Make the strategy with TensorFlow's server and collectives, once all workers have met."""
    import tensorflow as tf

    is_local = are_loopback(config.workers)
    if is_local:
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=timeout_s)
    try:
        with _restored_sigterm(), limited_start(config, timeout_s):
            strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except RuntimeError as error:
        if "at program startup" not in str(error):
            raise
        raise UserError(
            "Cannot join the workers that TF_CONFIG names: TensorFlow has already started. Call "
            "tfpar.cluster.make_strategy before anything else uses TensorFlow, such as a tensor, a dataset, `adapt` or "
            "a model."
        ) from None
    if is_local and not bind_to_loopback(split_address(config.address)[1]):
        warnings.warn(f"TensorFlow's server at {config.address} listens on all interfaces.", stacklevel=2)
    strategy.tfpar_collectives = None
    return strategy


def is_chief() -> bool:
    """Return whether this process writes checkpoints and reports; true outside a cluster."""
    config = read_tf_config()
    return config is None or config.is_chief


def check_trains_together(strategy: "tf.distribute.Strategy | None" = None) -> None:
    """Refuse to train one of several workers by itself.

    Args:
        strategy: of the model; None for the one in scope.

    Raises:
        UserError: TF_CONFIG names several workers, but `strategy` trains in one process.
    """
    import tensorflow as tf

    config, strategy = read_tf_config(), strategy or tf.distribute.get_strategy()
    if config is None or len(config.workers) == 1 or is_multiworker(strategy):
        return
    raise UserError(
        f"TF_CONFIG names {len(config.workers)} workers, but this model is in no multi-worker strategy's scope, and "
        "each worker would train a model of its own. Build and compile it within `with "
        "tfpar.cluster.make_strategy().scope():`, or remove TF_CONFIG from os.environ to train without the others."
    )


def is_multiworker(strategy: "tf.distribute.Strategy") -> bool:
    """Return whether the replicas of a strategy are in several processes."""
    replicas = strategy.num_replicas_in_sync
    return replicas > 1 and replicas > len(strategy.extended.worker_devices)


@contextlib.contextmanager
def name_lost_workers() -> Iterator[None]:
    """Within this context a collective that fails because a worker is lost raises an error that names it.

    Raises:
        WorkerLostError: instead of TensorFlow's error, which is its cause.
    """
    import tensorflow as tf

    from tfpar.cluster.shared_memory import LostError

    config = read_tf_config()
    symptoms = (
        tf.errors.UnavailableError,
        tf.errors.DeadlineExceededError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
    )
    try:
        yield
    except (LostError, tf.errors.UnknownError) as error:  # outside of a graph, or within
        found = re.search(r"(?:^|LostError: )(worker ([0-9]+) .*)", getattr(error, "message", str(error)))
        if not found or config is None:
            raise
        raise WorkerLostError({int(found[2]): config.workers[int(found[2])]}, found[1]) from error
    except symptoms as error:
        if config is None or len(config.workers) < 2:
            raise
        lost = unreachable_workers(config.workers, config.index)
        raise WorkerLostError({index: config.workers[index] for index in lost}, str(error.message)) from error


@contextlib.contextmanager
def _restored_sigterm() -> Iterator[None]:
    """Restore the handler of SIGTERM on exit: TensorFlow replaces it when the strategy is made."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
