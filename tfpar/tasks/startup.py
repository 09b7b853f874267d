"""Start of a run: checks before any work, TensorFlow, strategy and seed."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from absl import logging

from tfpar import cluster
from tfpar.errors import UserError
from tfpar.files import check_usable_directory
from tfpar.native_stderr import hide_native_stderr
from tfpar.tasks.compilations import count_compilations
from tfpar.tasks.config import Config
from tfpar.tasks.console import log
from tfpar.tasks.packages import MATPLOTLIB, TENSORBOARD, TFDS, Package, check_installed


@dataclasses.dataclass(frozen=True)
class Session:
    """Strategy and counter of a started run.

    Attributes:
        strategy: a `tf.distribute.Strategy`.
        count_compilations: function that returns the number of programs that XLA has compiled so far.
    """

    strategy: Any
    count_compilations: Callable[[], int]

    @property
    def replicas(self) -> int:
        return self.strategy.num_replicas_in_sync


def start(config: Config, *packages: Package) -> Session:
    """Check packages and directories, then start TensorFlow and set strategy and seed.

    Args:
        config: settings of the run.
        packages: optional ones that the task needs, besides those that the common settings need.

    Raises:
        UserError: a package is not installed, a directory cannot be written, or the strategy is not available.
    """
    check_installed(*packages, *_needed_packages(config))
    if config.target == "micro":
        _check_micro(config)
    from tfpar import export

    if formats_to_export(config):
        assert config.export_dir is not None
        export.check_writable(config.export_dir)
    if config.model_dir:
        check_usable_directory(Path(config.model_dir), "--model_dir")
    compilations = count_compilations()
    start_tensorflow()
    if not config.xla and not cluster.keep_operations_on_one_thread():
        log("TensorFlow has started before: each of its operations uses all cores, which is slower without XLA")
    strategy = cluster.make_strategy(config.strategy, config.replicas, timeout_s=config.worker_timeout_s)
    log(f"strategy: {strategy.tfpar_choice}; XLA {'on' if config.xla else 'off'}; {config.precision}")
    import keras

    keras.utils.set_random_seed(config.seed)
    return Session(strategy, compilations)


def formats_to_export(config: Config) -> tuple[str, ...]:
    """Return the formats that this process exports: none without a directory, and in a cluster only on the chief."""
    return config.export if config.export_dir is not None and cluster.is_chief() else ()


def _needed_packages(config) -> Iterator[Package]:
    if formats_to_export(config):
        yield MATPLOTLIB
    if config.model_dir:
        yield TENSORBOARD
    if config.dataset.startswith("tfds:") and not config.smoke:
        yield TFDS


def _check_micro(config):
    """Check that TFLite Micro is installed and runs each format."""
    from tfpar.export.micro.interpreter import check_micro

    check_micro()
    if not set(config.export) <= {"saved_model", "float32", "int8"}:
        raise UserError(
            f"--export for --target micro must list int8, float32, saved_model; got {','.join(config.export)}"
        )


def start_tensorflow() -> None:
    """Import TensorFlow without its start-up messages.

    C++ code writes them before it reads any logging level.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    logging.set_verbosity(logging.WARNING)
    with hide_native_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
