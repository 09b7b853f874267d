"""`Model`: a `keras.Model` whose `fit` is the same on N replicas as on one."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tfpar.cluster import heartbeat, outside_scope
from tfpar.cluster.multiworker import check_trains_together
from tfpar.cluster.strategy import divides_time
from tfpar.keras_private import Functional, TrainerHooks, flatten_layers
from tfpar.train import evaluation, guarded_step, keras_signatures, step
from tfpar.train.building import build_from_batch
from tfpar.train.checkpoints.data_position import DataPosition
from tfpar.train.checks import check_loss_is_built, check_runs_own_step, check_scope, check_synchronized_layers
from tfpar.train.execution import make_predict_function, make_step_function, without_autotuning
from tfpar.train.fit_callbacks import prepare_callbacks, undo_callbacks
from tfpar.train.saving import SavedByWorkers
from tfpar.train.sequence_sharding import SequenceStrategy
from tfpar.train.sharding import ShardedStrategy
from tfpar.train.step_guard import StepGuard
from tfpar.train.stop import abandoned_at_failure
from tfpar.train.types import Gradient, Logs, Nest
from tfpar.train.workers import explain_failures, run_on_workers
from tfpar.train.xla_policy import XlaPolicy


@keras.saving.register_keras_serializable(package="tfpar")
class Model(SavedByWorkers, XlaPolicy, TrainerHooks, keras.Model):
    """A `keras.Model`, functional or subclassed, for training under any `tf.distribute` strategy.

    A step runs on each replica in three parts: forward and backward, compiled by XLA for each shape of batch; an
    all-reduce of the gradients; the optimizer's update, compiled once. On one replica with one lane, and if all batches
    are of one shape, it is one program. So

    - the gradient is that of the mean loss over the global batch, whatever the sizes of the replicas' shards, and a row
      of weight zero counts for nothing when the loss is reduced by "mean_with_sample_weight";
    - clipping sees the all-reduced gradient;
    - a loss of the whole batch, such as the root of a mean, is that of the global batch, at the cost of one more
      forward pass if the batch has several microbatches; the same loss written as `compute_loss` is not recognized;
    - `jit_compile="auto"` means XLA wherever all layers support it, under a strategy and on a CPU too. Operations that
      XLA cannot compile turn it off, with a warning that names the layer.

    Attributes:
        lanes: number of microbatches into which a replica's shard of the batch is cut, and which are computed at the
            same time: set it to the number of a CPU's cores, before `fit`. Losses are those of the whole batch,
            metrics are counts, and batch normalization averages the statistics of the microbatches, as over replicas.

    Override `forward_backward` to compute gradients in another way. A subclass with its own `train_step` is run
    unchanged, and only on one replica.

    Example:

    >>> inputs = keras.Input((None, 3))
    >>> model = tfpar.train.Model(inputs, keras.layers.Dense(1)(tfpar.layers.GRU(4)(inputs)))
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 5, 3)), np.ones((8, 1)), batch_size=4, verbose=0)
    >>> sorted(history.history)
    ['loss']
    """

    lanes = 1
    has_seen_data = False  # set once it is built from a batch
    data_position: DataPosition | None = None
    step_guard: StepGuard | None = None

    # Keras sets these, and has no annotations.
    train_function: Callable | None
    test_function: Callable | None
    predict_function: Callable | None
    if TYPE_CHECKING:
        compile = keras_signatures.compile

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not isinstance(self, Functional) and (len(args) == 2 or "outputs" in kwargs):
            # Keras would change the bases of `Model` for good, and nothing else could be subclassed.
            self.__class__ = _functional_class(type(self))
            Functional.__init__(self, *args, **kwargs)
        else:
            super().__init__(*args, **kwargs)

    def forward_backward(self, data: Nest) -> tuple[list[Gradient | None], tf.Tensor, Logs]:
        """Compute gradients and logs of a microbatch.

        Args:
            data: (x,), (x, y) or (x, y, sample_weight), the microbatch's rows.

        Returns:
            Gradients of the microbatch's summed loss, one for each trainable variable: a tensor, None, or
            `tf.IndexedSlices`; the loss's weight, a float32 scalar by which the sums over microbatches are divided; and
            a dict of logs.
        """
        return step.forward_backward(self, data)

    def apply_gradients(self, summed: Sequence[Gradient | None], weight: tf.Tensor) -> None:
        """Step the optimizer by the mean gradient.

        Args:
            summed: gradients summed over all microbatches, one for each trainable variable.
            weight: float32 scalar, the summed weight of their losses.
        """
        step.apply_gradients(self, summed, weight)

    def train_step(self, data: Nest) -> Logs:
        """Train on one global batch, given one replica's rows, and return the logs: see the class."""
        if self.step_guard is not None:
            return guarded_step.train_step(self, self.step_guard, data)
        return step.train_step(self, data)

    def test_step(self, data: Nest) -> Logs:
        """Update the metrics by one replica's rows, and return the logs."""
        return evaluation.test_step(self, data)

    @keras_signatures.overrides(keras_signatures.fit)
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        call = inspect.signature(super().fit).bind(*args, **kwargs)
        callbacks = call.arguments["callbacks"] = prepare_callbacks(self, call.arguments.get("callbacks"))
        try:
            return self._on_dataset(super().fit, call.args, call.kwargs)
        finally:
            undo_callbacks(self, callbacks)

    @keras_signatures.overrides(keras_signatures.evaluate)
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return self._on_dataset(super().evaluate, args, kwargs)

    @keras_signatures.overrides(keras_signatures.predict)
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return self._on_dataset(super().predict, args, kwargs)

    @keras_signatures.overrides(keras_signatures.train_on_batch)
    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._on_batch(super().train_on_batch, args, kwargs)

    @keras_signatures.overrides(keras_signatures.test_on_batch)
    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._on_batch(super().test_on_batch, args, kwargs)

    @keras_signatures.overrides(keras_signatures.predict_on_batch)
    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._on_batch(super().predict_on_batch, args, kwargs)

    def _on_batch(self, method, args, kwargs):
        check_scope(self)
        with outside_scope(), explain_failures():
            return method(*args, **kwargs)

    def _on_dataset(self, method, args, kwargs):
        check_scope(self)
        call = inspect.signature(method).bind(*args, **kwargs)
        for name in ("x", "validation_data"):
            if name in call.arguments:
                call.arguments[name] = without_autotuning(call.arguments[name])
        if isinstance(call.arguments.get("x"), tf.data.Dataset) and "shuffle" in call.signature.parameters:
            call.arguments.setdefault("shuffle", False)  # Keras warns of its own default
        with outside_scope(), explain_failures(), heartbeat.expected(), abandoned_at_failure():
            if getattr(self.distribute_strategy, "is_multiworker", False):
                return run_on_workers(method, call.args, call.kwargs)
            return method(*call.args, **call.kwargs)

    @keras_signatures.overrides(keras_signatures.save_weights)
    def save_weights(self, *args: Any, **kwargs: Any) -> Any:
        with _named_as_in_keras():
            super().save_weights(*args, **kwargs)

    @keras_signatures.overrides(keras_signatures.load_weights)
    def load_weights(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with _named_as_in_keras():
                super().load_weights(*args, **kwargs)
        except ValueError:
            if not any(isinstance(layer, FunctionalModel) for layer in flatten_layers(self, include_self=False)):
                raise
            super().load_weights(*args, **kwargs)  # files of earlier versions name nested models otherwise

    def make_train_function(self, force: bool = False) -> None:
        """Make `train_function`, if there is none or by `force`."""
        if self.train_function is None or force:
            check_synchronized_layers(self)
            check_scope(self)
            check_trains_together(self.distribute_strategy)
            check_loss_is_built(self)
            step_function = self.train_step if self.has_step_of_tfpar() else self._custom_train_step
            self.train_function = make_step_function(self, step_function)

    def make_test_function(self, force: bool = False) -> None:
        """Make `test_function`, if there is none or by `force`."""
        if self.test_function is None or force:
            check_scope(self)
            check_loss_is_built(self)
            self.test_function = make_step_function(self, functools.partial(evaluation.evaluate_step, self))

    def make_predict_function(self, force: bool = False) -> None:
        """Make `predict_function`, if there is none or by `force`."""
        if self.predict_function is None or force:
            self.predict_function = make_predict_function(self)

    def has_step_of_tfpar(self) -> bool:
        """Return whether no subclass overrides `train_step`."""
        return type(self).train_step is Model.train_step

    def _custom_train_step(self, data):
        """Run a subclass's own step, as one program."""
        check_runs_own_step(self)
        return self.compile_with_xla(self.train_step)(data)

    @property
    def distribute_strategy(self) -> tf.distribute.Strategy | ShardedStrategy:
        """The strategy that the model was made in; a `ShardedStrategy` if it has several replicas."""
        strategy = super().distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return strategy
        return SequenceStrategy(strategy, self) if divides_time(strategy) else ShardedStrategy(strategy)

    def _observe_data(self, epoch_iterator):
        """Let checkpoints observe the data of `fit`; validation's iterator comes later."""
        position, self.data_position = self.data_position, None
        if position is not None:
            position.attach(epoch_iterator)

    def _build_from_batch(self, batch):
        build_from_batch(self, batch)


@keras.saving.register_keras_serializable(package="tfpar")
class FunctionalModel(Model, Functional):
    """Class of `Model(inputs, outputs)`."""

    def __init__(self, inputs: Nest, outputs: Nest, name: str | None = None, **kwargs: Any) -> None:
        Functional.__init__(self, inputs, outputs, name=name, **kwargs)


@contextlib.contextmanager
def _named_as_in_keras():
    """Within this context, files of weights name models within a model by their Keras class, as for `keras.Model`."""
    FunctionalModel.__name__ = Functional.__name__
    try:
        yield
    finally:
        FunctionalModel.__name__ = "FunctionalModel"


def _functional_class(cls):
    """Return the class that a model of `cls` gets when it is given inputs and outputs.

    A class with a constructor of its own is always functional: as in Keras, it gets another base.
    """
    if cls is Model:
        return FunctionalModel
    if cls.__init__ is Model.__init__:
        return _functional_subclass(cls)
    bases = tuple(FunctionalModel if base is Model else base for base in cls.__bases__)
    cls.__bases__ = bases if FunctionalModel in bases else (*bases, FunctionalModel)
    return cls


@functools.cache
def _functional_subclass(cls):
    """Make a functional subclass of `cls`, which files name as `cls` itself."""
    made = type(cls)(cls.__name__, (cls, FunctionalModel), {"__module__": cls.__module__, "__doc__": cls.__doc__})
    registered = keras.saving.get_registered_name(cls)
    package, separator, name = registered.partition(">")
    if separator:
        keras.saving.register_keras_serializable(package, name)(made)
        keras.saving.get_custom_objects()[registered] = cls
    return made


@keras.saving.register_keras_serializable(package="tfpar")
class Sequential(Model, keras.Sequential):
    """A `keras.Sequential` that trains as `Model` does.

    Args:
        layers: list of layers.
        **kwargs: see `keras.Sequential`.

    Example:

    >>> model = tfpar.train.Sequential([keras.Input((5, 3)), tfpar.layers.GRU(4), keras.layers.Dense(1)])
    >>> model.output_shape
    (None, 1)
    """

    def __init__(self, layers: Sequence[keras.layers.Layer] | None = None, **kwargs: Any) -> None:
        keras.Sequential.__init__(self, layers, **kwargs)
