"""Devices and `tf.distribute` strategies."""

from tfpar.cluster.strategy import (
    STRATEGIES,
    StrategyChoice,
    choose_strategy,
    cpu_lanes,
    make_strategy,
    usable_cores,
)

__all__ = ["STRATEGIES", "StrategyChoice", "choose_strategy", "cpu_lanes", "make_strategy", "usable_cores"]
