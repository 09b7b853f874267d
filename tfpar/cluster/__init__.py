"""Devices, processes and `tf.distribute` strategies."""

from tfpar.cluster.multiworker import is_chief, name_lost_workers
from tfpar.cluster.scope import outside_scope
from tfpar.cluster.strategy import (
    STRATEGIES,
    Machines,
    StrategyChoice,
    choose_strategy,
    cpu_lanes,
    keep_operations_on_one_thread,
    make_strategy,
    usable_cores,
)
from tfpar.cluster.tf_config import TfConfig, read_tf_config

__all__ = [
    "STRATEGIES",
    "Machines",
    "StrategyChoice",
    "TfConfig",
    "choose_strategy",
    "cpu_lanes",
    "is_chief",
    "keep_operations_on_one_thread",
    "name_lost_workers",
    "make_strategy",
    "outside_scope",
    "read_tf_config",
    "usable_cores",
]
