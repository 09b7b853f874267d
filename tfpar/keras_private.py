"""Private names of Keras 3.15, behind functions with public names.

Only `tfpar.tensorflow_private` uses further private names. `tests/train/test_private_hooks.py` tests what each function
here assumes: read both files when either library is updated.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from keras.src.backend.common import global_state
from keras.src.backend.tensorflow.optimizer import TFOptimizer
from keras.src.losses.loss import apply_mask
from keras.src.models.functional import Functional
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.random import seed_generator
from keras.src.saving.keras_saveable import KerasSaveable

from tfpar.contexts import attributes_set

# Models and layers


class TrainerHooks:
    """Mixin of a `keras.Model` that gives two private hooks of Keras' trainer to methods of the model.

    A subclass has `_build_from_batch(batch)`, `_observe_data(epoch_iterator)` and `_supports_xla() -> bool`.
    """

    if TYPE_CHECKING:

        def _build_from_batch(self, batch: Any) -> None: ...

        def _observe_data(self, epoch_iterator: Any) -> None: ...

        def _supports_xla(self) -> bool: ...

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Build before the first step, from the specs of an epoch's iterator or from one batch."""
        self._build_from_batch(data_batch if iterator is None else iterator._distributed_dataset.element_spec)
        if iterator is not None:
            self._observe_data(iterator)

    def _resolve_auto_jit_compile(self):
        """Decide what `jit_compile="auto"` means."""
        return self._supports_xla()


class SavedObject(KerasSaveable):
    """Base of an object that is no layer but has weights of its own in a file, under the name of its attribute."""

    def _obj_type(self):
        return "Layer"


def flatten_layers(layer: keras.layers.Layer, include_self: bool = True) -> list[keras.layers.Layer]:
    """List a layer and all layers within it, at any depth."""
    return list(layer._flatten_layers(include_self=include_self))


def is_functional(model: keras.layers.Layer) -> bool:
    """Return whether a model was made as `keras.Model(inputs, outputs)`."""
    return isinstance(model, Functional)


def has_functional_graph(model: keras.Sequential) -> bool:
    """Return whether a sequential model is a chain of calls with one input, which it is once it is built."""
    return model._functional is not None


def functional_graph(model: Any) -> Functional | None:
    """Return the functional model that a model is, or that a built sequential one wraps; None for all others."""
    if isinstance(model, keras.Sequential):
        return model._functional
    return model if isinstance(model, Functional) and type(model).call is Functional.call else None


def calls(graph: Functional) -> list[tuple]:
    """List the operations of a functional model with their nodes, each after those that it needs."""
    depths = sorted(graph._nodes_by_depth, reverse=True)
    return [(node.operation, node) for depth in depths for node in graph._nodes_by_depth[depth] if not node.is_input]


_OPERATIONS = {
    "elements": "Absolute Add Cast Divide Equal Exp Greater Less Log LogicalAnd LogicalNot LogicalOr Maximum Minimum "
    "Multiply Negative NotEqual OnesLike Sqrt Square Subtract Tanh TrueDivide ZerosLike Elu Gelu LeakyRelu Relu "
    "Sigmoid Silu Softplus",
    "axis": "All Any Concatenate ExpandDims Max Mean Min Sum",
}


def operation_scope(operation: keras.Operation) -> str | None:
    """Return what an operation of `keras.ops` reads: single "elements", or its "axis"; None if that is unknown."""
    if not type(operation).__module__.startswith("keras.src.ops."):
        return None
    return next((scope for scope, names in _OPERATIONS.items() if type(operation).__name__ in names.split()), None)


def build_shapes(layer: keras.layers.Layer) -> dict | None:
    """Return the input shapes that a layer was built for, by argument with the suffix `_shape`."""
    return getattr(layer, "_build_shapes_dict", None)


def outputs_structure(model: keras.Model):
    """Return the outputs of a functional model in the structure that it was made with."""
    return model._outputs_struct


def inbound_nodes(layer: keras.layers.Layer) -> list:
    """List the symbolic calls of a layer, with `arguments`, `input_tensors` and `output_tensors`."""
    return layer._inbound_nodes


def producing_call(tensor: keras.KerasTensor) -> tuple:
    """Return the operation that made a symbolic tensor, and its node in `inbound_nodes`."""
    operation, index, _ = tensor._keras_history
    return operation, inbound_nodes(operation)[index]


def get_mask(tensor) -> tf.Tensor | None:
    """Return the mask that Keras has attached to a tensor, if any."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor, mask: tf.Tensor) -> None:
    """Attach a mask to a tensor."""
    tensor._keras_mask = mask


# Training


def call_has_training_argument(model: keras.Model) -> bool:
    """Return whether a model's `call` takes `training`."""
    return model._call_has_training_arg


def compute_loss(model: keras.Model, x, y, y_pred, sample_weight, training: bool) -> tf.Tensor:
    """Call a model's `compute_loss`, with `training` where it takes it."""
    return model._compute_loss(x, y, y_pred, sample_weight, training=training)


def compiled_loss(model: keras.Model):
    """Return Keras' container of the losses that `compile` was given, or None."""
    return model._compile_loss


def loss_tracker(model: keras.Model) -> keras.metrics.Mean:
    """Return the metric that averages the loss over batches."""
    return model._loss_tracker


def make_function(model: keras.Model, step: Callable) -> Callable:
    """Make Keras' function that runs a step of one replica on each batch of an iterator, without XLA."""
    jit_compile, model._jit_compile = model.jit_compile, False
    try:
        return model._make_function(step)
    finally:
        model._jit_compile = jit_compile


def build_symbolically(model: keras.Model, batch) -> None:
    """Build a model, its metrics and its optimizer from a batch or its specs, without running a step."""
    model._symbolic_build(data_batch=batch)


def replica_spec(spec):
    """Return what one replica is given of a distributed `tf.TypeSpec`; any other value unchanged."""
    while hasattr(spec, "_value_specs"):
        spec = spec._value_specs[0]
    return spec


def initial_epoch(model: keras.Model) -> int:
    """Return the epoch at which a callback has let `fit` begin."""
    return model._initial_epoch or 0


def set_initial_epoch(model: keras.Model, epoch: int) -> None:
    """Let `fit` begin at an epoch; called in `on_train_begin`."""
    model._initial_epoch = epoch or None


def replace_dataset(epoch_iterator: Any, wrap: Callable) -> Any:
    """Replace the dataset that Keras' iterator over epochs reads by `wrap(dataset)`, and return that."""
    epoch_iterator._distributed_dataset = wrap(epoch_iterator._distributed_dataset)
    return epoch_iterator._distributed_dataset


def find_py_dataset(epoch_iterator: Any) -> keras.utils.PyDataset | None:
    """Return the `PyDataset` that Keras' iterator over epochs reads, or None."""
    return getattr(epoch_iterator.data_adapter, "py_dataset", None)


def continue_epoch(epoch_iterator: Any, batch: int, read: int) -> None:
    """Let the next epoch of Keras' iterator begin behind a batch; its dataset must skip the batches itself.

    Args:
        epoch_iterator: of `fit`.
        batch: number of the epoch's batches to skip.
        read: number of batches of the iterator over the dataset, which may serve several epochs.
    """
    enumerate_epoch = epoch_iterator._enumerate_iterator
    offset = batch % epoch_iterator.steps_per_execution

    def enumerate_rest():
        del epoch_iterator._enumerate_iterator  # later epochs are whole
        is_first = True
        for begin, end, iterator in enumerate_epoch():
            begin, end = begin + offset, end + offset
            if is_first:
                epoch_iterator._steps_seen += read - batch
                is_first = False
            if batch <= begin < (epoch_iterator.num_batches or begin + 1):
                yield begin, end, iterator

    epoch_iterator._enumerate_iterator = enumerate_rest


# Callbacks

_STATE_ATTRIBUTES: dict[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("best", "wait", "stopped_epoch", "best_epoch", "best_weights"),
    keras.callbacks.History: ("epoch", "history"),
    keras.callbacks.ModelCheckpoint: ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.TensorBoard: ("_global_train_batch", "_global_test_batch", "_previous_epoch_iterations"),
}


def state_attributes(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    """Return the attributes of one of Keras' callbacks that change during training; none for other callbacks."""
    return next((names for kind, names in _STATE_ATTRIBUTES.items() if isinstance(callback, kind)), ())


def flush_writers(callback: keras.callbacks.TensorBoard) -> None:
    """Write all events of a callback to its files; those of a batch are written with the next batch."""
    for writer in callback._writers.values():
        writer.flush()


def global_seed_state() -> keras.Variable | None:
    """Return the state of the seed that Keras' random functions use by default, or None if none has used it."""
    generator = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    return None if generator is None else generator.state


def make_global_seed_state() -> keras.Variable:
    """Return the state of the seed that Keras' random functions use by default."""
    return seed_generator.global_seed_generator().state


@contextlib.contextmanager
def values_replaced(variables: Sequence[keras.Variable], values: Sequence) -> Iterator[None]:
    """Within this context `keras.Variable`s read and write these TensorFlow variables."""
    former = [variable.value for variable in variables]
    try:
        for variable, value in zip(variables, values, strict=True):
            variable._value = value
        yield
    finally:
        for variable, value in zip(variables, former, strict=True):
            variable._value = value


# Losses


def flat_losses(container) -> list[Callable]:
    """List the losses in Keras' container; none before it is built, or if it is None."""
    return [flat.loss for flat in getattr(container, "_flat_losses", None) or ()]


@contextlib.contextmanager
def losses_replaced(container, losses: Sequence[Callable]) -> Iterator[None]:
    """Within this context a built container calls these losses, and does not update its metrics of them."""
    flat = [old._replace(loss=new) for old, new in zip(container._flat_losses, losses, strict=True)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(attributes_set(container, {"_flat_losses": flat}))
        for metric in container.metrics:
            stack.enter_context(attributes_set(metric, {"update_state": lambda *_, **__: None}))
        yield


def mask_weights(weights: tf.Tensor, mask: tf.Tensor | None, reduction: str) -> tf.Tensor:
    """Apply a mask to sample weights as a loss with this reduction does, float32."""
    return apply_mask(weights, mask, dtype="float32", reduction=reduction)


def is_loss_of_keras(code) -> bool:
    """Return whether a loss function or class is defined by Keras."""
    return code.__module__.startswith("keras.src.losses.")


# Optimizers


@contextlib.contextmanager
def single_device_updates(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Within this context an optimizer updates variables as Keras' do on one device.

    Methods that its own class overrides stay in force: only TensorFlow's hooks behind them are replaced.
    """
    with contextlib.ExitStack() as stack:
        own_class: Any = type(optimizer)
        stack.enter_context(_class_set(optimizer, _single_device_class(own_class)))
        if getattr(type(optimizer), "_tf_apply", None) is keras.optimizers.LossScaleOptimizer._tf_apply:
            stack.enter_context(attributes_set(optimizer, {"_tf_apply": optimizer._common_apply}))
        yield


class _SingleDeviceHooks(TFOptimizer):
    """The hooks that `TFOptimizer` overrides for strategies, as on one device."""

    _apply_weight_decay = BaseOptimizer._apply_weight_decay
    _backend_increment_gradient_accumulators = BaseOptimizer._backend_increment_gradient_accumulators
    _overwrite_model_variables_with_average_value = BaseOptimizer._overwrite_model_variables_with_average_value

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            # As from `TFOptimizer`, a step is given TensorFlow's variable.
            self.update_step(
                gradient, variable.value if isinstance(variable, keras.Variable) else variable, learning_rate
            )


@functools.cache
def _single_device_class(cls):
    """Make a subclass of `cls` with `_SingleDeviceHooks` between its own methods and those of `TFOptimizer`."""
    if issubclass(cls, _SingleDeviceHooks):
        return cls
    return type(cls)(cls.__name__, (cls, _SingleDeviceHooks), {"__module__": cls.__module__, "__doc__": cls.__doc__})


@contextlib.contextmanager
def _class_set(instance, cls):
    """Within this context `instance` is one of `cls`."""
    former = type(instance)
    object.__setattr__(instance, "__class__", cls)
    try:
        yield
    finally:
        object.__setattr__(instance, "__class__", former)


def learning_rate_schedule(optimizer: keras.optimizers.Optimizer) -> Any:
    """Return the schedule of an optimizer's learning rate, or None if that is a variable."""
    rate = getattr(optimizer, "_learning_rate", None)
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def reads_gradients_first(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether an optimizer's own code reads gradients before Keras accumulates and clips them."""
    names = ("apply_gradients", "apply", "_backend_apply_gradients")
    return any(getattr(type(optimizer), name) is not getattr(BaseOptimizer, name) for name in names)


def clips_as_keras(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether an optimizer clips gradients by Keras' own method."""
    return type(optimizer)._clip_gradients is BaseOptimizer._clip_gradients


def clip_gradients(optimizer: keras.optimizers.Optimizer) -> Callable:
    """Return an optimizer's method that clips: list of gradients -> list of gradients."""
    return optimizer._clip_gradients


def replace_clipping(optimizer: keras.optimizers.Optimizer, clip: Callable):
    """Make a context within which an optimizer clips by `clip(gradients)`."""
    return attributes_set(optimizer, {"_clip_gradients": clip})


@contextlib.contextmanager
def accumulation_observed(
    optimizer: keras.optimizers.Optimizer, on_add: Callable, on_reset: Callable
) -> Iterator[None]:
    """Within this context `on_add()` and `on_reset()` follow each addition to, and reset of, accumulated gradients."""
    add, reset = optimizer._backend_increment_gradient_accumulators, optimizer._backend_reset_gradient_accumulators

    def add_and_notify(gradients, accumulators):
        add(gradients, accumulators)
        on_add()

    def reset_and_notify():
        reset()
        on_reset()

    methods = {
        "_backend_increment_gradient_accumulators": add_and_notify,
        "_backend_reset_gradient_accumulators": reset_and_notify,
    }
    with attributes_set(optimizer, methods):
        yield
