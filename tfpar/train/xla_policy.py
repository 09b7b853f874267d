"""Decides which programs of a model XLA compiles, and compiles them."""

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import keras
import tensorflow as tf

from tfpar.cluster.strategy import divides_time
from tfpar.keras_private import flatten_layers
from tfpar.layers.recurrent.placement import within_xla
from tfpar.train.checks import find_synchronized_layers
from tfpar.train.execution import with_auto_clustering
from tfpar.train.replica import all_variables, local_components
from tfpar.train.xla_support import NotCompilableError, check_compilable


@runtime_checkable
class CudnnLayer(Protocol):
    """A layer that may use cuDNN, such as `tfpar.layers.LSTM`."""

    @property
    def takes_cudnn(self) -> bool:
        """Whether cuDNN would train the layer here."""


# Type checkers see the methods that `super()` finds in the model.
_Mixed: Any = keras.Model if TYPE_CHECKING else object


class XlaPolicy(_Mixed):
    """Mixin of a `keras.Model` for which `jit_compile` compiles each program of a step by XLA.

    cuDNN's operations are no part of XLA. If layers use them, `jit_compile` is False, programs without recurrences are
    compiled by XLA, and the others are auto-clustered around cuDNN.
    """

    _clusters_around_cudnn = False
    _jit_is_auto, _is_resolving_auto = True, False

    @property
    def jit_compile(self) -> bool:
        """Whether each part of a step is one XLA program; False if a layer uses cuDNN: see the class."""
        return super().jit_compile

    @jit_compile.setter
    def jit_compile(self, value: bool | str) -> None:
        uses_cudnn = any(map(_takes_cudnn, flatten_layers(self)))
        self._clusters_around_cudnn = bool(value) and uses_cudnn
        self._jit_is_auto, self._is_resolving_auto = self._is_resolving_auto, False
        keras.Model.jit_compile.fset(self, bool(value) and not uses_cudnn)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "jit_compile":
            # TensorFlow would skip an assignment of the value that "auto" resolves to.
            declared: Any = type(self).jit_compile
            declared.fset(self, value)
        else:
            super().__setattr__(name, value)

    @functools.wraps(keras.Model.compile_from_config)
    def compile_from_config(self, config: dict[str, Any]) -> None:
        super().compile_from_config(config)
        self._jit_is_auto = True  # a file does not distinguish what "auto" resolved to from an explicit value

    def compile_with_xla(self, function: Callable, has_recurrence: bool = True) -> Callable:
        """Make one XLA program of a function if `jit_compile` is set; for the methods of a step.

        Args:
            function: of nests of tensors, called in a replica. It reads and writes this replica's variables.
            has_recurrence: whether it runs the model's layers.
        """
        if within_xla():
            return function  # it is traced into the program around it
        if has_recurrence and divides_time(self.distribute_strategy):
            return function  # replicas exchange states within the forward pass, and layers compile what is between
        jit_compile = self.jit_compile or (self._clusters_around_cudnn and not has_recurrence)
        if self.run_eagerly or not jit_compile:
            return function  # TensorFlow selects this replica's components at each read and assignment

        @functools.wraps(function)
        def with_local_components(*args):
            with local_components(all_variables(self)):
                result = function(*args)
            check_compilable(tf.compat.v1.get_default_graph())
            return result

        compiled = tf.function(with_local_components, jit_compile=True, autograph=False, reduce_retracing=True)

        def compile_or_fall_back(*args):
            try:
                return compiled(*args)
            except NotCompilableError as error:
                self._fall_back_from_xla(error)
                return function(*args)

        return compile_or_fall_back

    def cluster_around_cudnn(self, function: Callable) -> Callable:
        """Let XLA compile the operations around cuDNN's, if a layer uses cuDNN; else return `function`."""
        return with_auto_clustering(function) if self._clusters_around_cudnn else function

    def _fall_back_from_xla(self, error):
        """Turn XLA off for this model, or raise if `jit_compile=True` was passed."""
        found = f"{error.describe(flatten_layers(self))}, which XLA cannot compile"
        if not self._jit_is_auto:
            raise ValueError(f"{found}; got jit_compile=True. Pass jit_compile=False to `compile`.") from None
        if self.jit_compile:
            warnings.warn(f"{found}: the model runs without XLA, as with jit_compile=False.", stacklevel=2)
            keras.Model.jit_compile.fset(self, False)

    def _supports_xla(self) -> bool:
        """Resolve `jit_compile="auto"`."""
        self._is_resolving_auto = True
        supported = (layer.supports_jit or _takes_cudnn(layer) for layer in flatten_layers(self))
        return all(supported) and not find_synchronized_layers(self)


def _takes_cudnn(layer: object) -> bool:
    return isinstance(layer, CudnnLayer) and layer.takes_cudnn
