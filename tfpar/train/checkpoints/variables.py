"""Values of a model's variables as arrays: one for all replicas or, of a metric, one for each replica.

TensorFlow would add the replicas' components of a metric where it saves them, and divide the sum where it restores it;
then rounding would differ from that of a run that was not interrupted.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpar import keras_private
from tfpar.cluster.multiworker import is_multiworker
from tfpar.cluster.tf_config import read_tf_config
from tfpar.train.broadcast import make_gather
from tfpar.train.replica import metric_and_other_variables

Arrays = dict[str, np.ndarray]
_GLOBAL_SEED = "global_seed"


class VariableReader:
    """Reads the values of all variables of a model, its optimizer, its metrics, and of Keras' global seed.

    Args:
        model: `tfpar.train.Model`, built and compiled.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self._gather: Callable | None = None

    def read(self) -> Arrays:
        """Return the values; all workers must call it."""
        metrics, others = metric_and_other_variables(self._model)
        arrays = {f"variable.{index}": _to_numpy(variable.value) for index, variable in enumerate(others)}
        if (seed := keras_private.global_seed_state()) is not None:
            arrays[_GLOBAL_SEED] = _to_numpy(seed.value)
        return arrays | {f"metric.{index}": value for index, value in enumerate(self._read_metrics(metrics))}

    def _read_metrics(self, metrics) -> list[np.ndarray]:
        if not metrics or not is_multiworker(self._model.distribute_strategy):
            return [np.stack([c.numpy() for c in _components(variable)]) for variable in metrics]
        if self._gather is None:
            self._gather = make_gather(self._model.distribute_strategy, metrics)
        return [tensor.numpy() for tensor in self._gather()]


def assign_variables(model: keras.Model, arrays: Arrays) -> None:
    """Assign values of `VariableReader.read`, except those of the metrics."""
    _, others = metric_and_other_variables(model)
    for index, variable in enumerate(others):
        variable.assign(_cast(arrays[f"variable.{index}"], variable))
    if _GLOBAL_SEED in arrays:
        keras_private.make_global_seed_state().assign(arrays[_GLOBAL_SEED])


def assign_metrics(model: keras.Model, arrays: Arrays) -> None:
    """Assign the values of metrics; if the number of replicas changed, the first replica gets their sum."""
    metrics, _ = metric_and_other_variables(model)
    strategy = model.distribute_strategy
    replicas, first = strategy.num_replicas_in_sync, 0
    if is_multiworker(strategy):
        config = read_tf_config()
        assert config is not None
        first = config.index * len(strategy.extended.worker_devices)
    for index, variable in enumerate(metrics):
        rows = _cast(arrays[f"metric.{index}"], variable)
        if len(rows) != replicas:
            rows = np.stack([rows.sum(axis=0, dtype=rows.dtype), *[np.zeros_like(rows[0])] * (replicas - 1)])
        components = _components(variable)
        for component, row in zip(components, rows[first : first + len(components)], strict=True):
            component.assign(row)


def describe_variables(model: keras.Model) -> list[list[Any]]:
    """Return path, shape and dtype of each variable, metrics last."""
    metrics, others = metric_and_other_variables(model)
    return [[variable.path, list(variable.shape), str(variable.dtype)] for variable in (*others, *metrics)]


def find_non_finite_weight(model: keras.Model, arrays: Arrays) -> str | None:
    """Return the path of a variable whose value is not finite, or None; metrics do not count."""
    _, others = metric_and_other_variables(model)
    for index, variable in enumerate(others):
        array = arrays[f"variable.{index}"]
        if tf.as_dtype(variable.dtype).is_floating and not np.isfinite(array.astype(np.float32, copy=False)).all():
            return variable.path
    return None


def _components(variable) -> list:
    value = variable.value
    return list(value.values) if isinstance(value, tf.distribute.DistributedValues) else [value]


def _to_numpy(value) -> np.ndarray:
    return (value.values[0] if isinstance(value, tf.distribute.DistributedValues) else value).numpy()


def _cast(array, variable) -> np.ndarray:
    """Give an array the dtype of a variable: files do not know bfloat16."""
    dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
    return array.view(dtype) if array.dtype.kind == "V" else array
