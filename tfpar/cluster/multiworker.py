"""Processes that train one model together, over gRPC: their start, and what is said when one is lost."""

import contextlib
import re
import signal
import threading

from tfpar.cluster.rendezvous import unreachable_workers, wait_for_workers
from tfpar.cluster.shared_memory import SharedMemoryCollectives
from tfpar.cluster.start_watch import start_bounded
from tfpar.cluster.tf_config import TfConfig, read_tf_config
from tfpar.errors import WorkerLostError


def make(config: TfConfig, timeout_s: float, on_cpu: bool):
    """Makes a `tf.distribute.MultiWorkerMirroredStrategy`, once all workers are there.

    Args:
        config: the cluster.
        timeout_s: longest wait for another worker, at the start and in each exchange with it.
        on_cpu: whether there is no GPU.

    Returns:
        The strategy; its `tfpar_collectives` are `SharedMemoryCollectives` where all workers are CPUs of one host, else
        None.

    A worker that is lost after all have met, while TensorFlow starts, would let it hang: then this process is killed,
    with a line on standard error that names the lost one.

    Raises:
        WorkerMissingError: another worker did not come in time.
    """
    on_one_host = wait_for_workers(config.workers, config.index, timeout_s)
    import tensorflow as tf

    with _signals_kept(), start_bounded(config, timeout_s):
        strategy = tf.distribute.MultiWorkerMirroredStrategy(
            communication_options=tf.distribute.experimental.CommunicationOptions(timeout_seconds=timeout_s)
        )
    strategy.tfpar_collectives = None
    if on_cpu and on_one_host and len(config.workers) > 1:
        strategy.tfpar_collectives = SharedMemoryCollectives(config.workers, config.index, timeout_s)
    return strategy


def is_chief() -> bool:
    """Whether this process is the one that writes checkpoints and reports; true outside a cluster."""
    config = read_tf_config()
    return config is None or config.is_chief


@contextlib.contextmanager
def lost_workers_named():
    """Within this context a collective that fails since a worker is gone raises an error that names it.

    Raises:
        WorkerLostError: in place of TensorFlow's error, which it has as its cause.
    """
    import tensorflow as tf

    config = read_tf_config()
    symptoms = (
        tf.errors.UnavailableError,
        tf.errors.DeadlineExceededError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
    )
    try:
        yield
    except tf.errors.UnknownError as error:
        lost = re.search(r"LostError: (worker ([0-9]+) .*)", error.message)
        if not lost:
            raise
        raise WorkerLostError({int(lost[2]): config.workers[int(lost[2])]}, lost[1]) from error
    except symptoms as error:
        if config is None or len(config.workers) < 2:
            raise
        lost = unreachable_workers(config.workers, config.index)
        raise WorkerLostError({index: config.workers[index] for index in lost}, str(error.message)) from error


@contextlib.contextmanager
def _signals_kept():
    """TensorFlow swallows SIGTERM from when the strategy is made; this puts back what stood before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
