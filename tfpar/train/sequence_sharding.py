"""Sequence sharding: the time axis of a global batch is cut into slices, one for each replica of a group.

If there are several groups of replicas, each has a shard of the rows.

Inputs, targets and sample weights with the time axis are cut along it, at the same steps. Inputs without it are whole
on each replica, so layers behind the last output of a recurrent layer compute the same on all. Of such outputs each
replica takes its own rows for losses and metrics, so that every number is counted once.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.layers.call_context import call_context_with
from tfpar.ops.time_slice import TimeSlice
from tfpar.train.replica_mesh import ReplicaMesh
from tfpar.train.sharding import ShardedStrategy, compute_fingerprint, row_count, slice_rows
from tfpar.train.slice_noise import seeds_of_replicas
from tfpar.train.step_context import step_context
from tfpar.train.time_axes import TimeAxes, find_time_axes
from tfpar.train.types import Nest


class SequenceStrategy(ShardedStrategy):
    """A `tf.distribute.Strategy` of several replicas that gives each its rows and steps of a global batch.

    Args:
        strategy: of two replicas or more.
        model: `tfpar.train.Model`, functional or sequential.
    """

    def __init__(self, strategy: tf.distribute.Strategy, model: keras.Model):
        super().__init__(strategy)
        self._model, self._mesh = model, ReplicaMesh.of_strategy(strategy)

    def run(self, function: Callable, args: tuple) -> Nest:
        """Run `function(part)` on each replica, with the replica's rows and steps of the batch `args[0]`.

        Raises:
            ValueError: a layer of the model looks across time steps, the model has methods or lanes of its own, or the
                batch cannot be cut.
        """
        (batch,) = args
        check_batch(batch)
        check_runs_own_methods(self._model)
        axes, mesh = find_time_axes(self._model), self._mesh
        if mesh.groups > 1:
            check_rows_are_independent(self._model)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        cut, rows = BatchCut(axes, x, mesh.slices), row_count(batch)
        check_slices_have_steps(cut, axes)
        facts = {"fingerprint": compute_fingerprint(batch) if self.is_multiworker else None, "global_rows": rows}

        def run_on_replica(x, y, sample_weight):
            offset, (x, y, sample_weight) = mesh.own_rows((x, y, sample_weight))
            index = mesh.position()[1]
            shard = SequenceShard(axes, cut, index)
            time_slice = TimeSlice(
                index,
                cut.count,
                index * cut.size,
                cut.steps,
                mesh.exchange,
                jit_compile=self._model.jit_compile,
                most_rows=mesh.most_rows(rows),
            )
            data = (shard.cut_inputs(x), shard.cut_targets(y), shard.cut_sample_weight(y, sample_weight))
            context = call_context_with(first_row=offset, time_slice=time_slice)
            with context, step_context(sequence_shard=shard, **facts):
                return function(keras.utils.pack_x_y_sample_weight(*data))

        with _any_number_of_steps(self._model), seeds_of_replicas(axes.random_layers, mesh):
            return self._strategy.run(run_on_replica, args=(x, y, sample_weight))

    def gather_outputs(self, outputs: Nest) -> Nest:
        """Concatenate the steps of all replicas; outputs without a time axis are equal on all."""
        flags = find_time_axes(self._model).outputs
        return keras.tree.map_structure(self._gather_output, flags, outputs)

    def _gather_output(self, has_time, output):
        if self._mesh.groups > 1:
            return self._mesh.join_outputs(self._strategy, output, has_time)
        return self._strategy.gather(output, axis=1) if has_time else self.first_result(output)


def check_runs_own_methods(model: keras.Model) -> None:
    """Refuse models whose own methods may read all steps, and lanes.

    Raises:
        ValueError: names the method, or `lanes`.
    """
    for name in ("train_step", "test_step", "predict_step", "forward_backward", "compute_loss"):
        method = getattr(type(model), name)
        if method is not getattr(keras.Model, name, None) and method.__module__ != "tfpar.train.model":
            raise ValueError(
                f"{type(model).__name__} has its own `{name}`, which may read all time steps, and strategy 'sequence' "
                "divides them over replicas. Use strategy 'mirrored' or 'multiworker'."
            )
    if model.lanes > 1:
        raise ValueError(
            f"`lanes` must be 1 under strategy 'sequence', since lanes do not exchange states; got {model.lanes}."
        )


def check_rows_are_independent(model: keras.Model) -> None:
    """Refuse layers that compute a row from all rows of a batch, where groups of replicas divide the rows.

    Raises:
        ValueError: names the layer.
    """
    for layer in keras_private.flatten_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise ValueError(
                f"The layer {layer.name!r} (BatchNormalization) reads all rows of a batch, which the `mesh_shape` of "
                "strategy 'sequence' divides over replicas. Use LayerNormalization, or the mesh_shape (1, replicas)."
            )


def check_slices_have_steps(cut: "BatchCut", axes: TimeAxes) -> None:
    """Refuse batches of fewer steps than slices if a layer needs a step.

    Raises:
        ValueError: names the layer.
    """
    if axes.step_loops and isinstance(cut.steps, int) and cut.steps <= cut.size * (cut.count - 1):
        raise ValueError(
            f"The layer {axes.step_loops[0].name!r} (TimeDistributed) needs a step on each of {cut.count} replicas "
            f"under strategy 'sequence', but of {cut.steps} steps in slices of {cut.size} the last slice has "
            "none. Pad the sequences, and mask the padding."
        )


@contextlib.contextmanager
def _any_number_of_steps(model) -> Iterator[None]:
    """Let functional models take sequences of other lengths than they were built for."""
    models: list[Any] = [each for each in keras_private.flatten_layers(model) if keras_private.is_functional(each)]
    former = [each.input_spec for each in models]
    try:
        for each in models:
            each.input_spec = None
        yield
    finally:
        for each, spec in zip(models, former, strict=True):
            each.input_spec = spec


def check_batch(batch: Nest) -> None:
    """Refuse batches that cannot be cut along time.

    Raises:
        ValueError: TensorFlow has distributed the dataset, or a tensor is sparse or ragged.
    """
    for leaf in tf.nest.flatten(batch):
        if isinstance(leaf, tf.distribute.DistributedValues):
            raise ValueError(
                "Strategy 'sequence' cuts each batch along time, but the dataset is a "
                "tf.distribute.DistributedDataset, whose rows are divided. Pass the tf.data.Dataset itself."
            )
        if isinstance(leaf, (tf.SparseTensor, tf.RaggedTensor)):
            raise ValueError(
                f"Strategy 'sequence' needs dense tensors; got a {type(leaf).__name__}. Pad the sequences, and mask "
                "the padding."
            )


@dataclasses.dataclass(frozen=True)
class BatchCut:
    """How a batch is cut: `count` slices of `size` steps; the last ones may have fewer, or none.

    Attributes:
        count: number of slices.
        steps: of the whole sequences, an int or an int32 scalar.
        size: steps of a slice, likewise.
    """

    count: int
    steps: int | tf.Tensor
    size: int | tf.Tensor

    def __init__(self, axes: TimeAxes, x: Nest, count: int):
        leaves = [leaf for leaf, flag in zip(_by_name(x, axes.input_names), axes.inputs, strict=True) if flag]
        steps = next((leaf.shape[1] for leaf in leaves if leaf.shape[1] is not None), None)
        steps = tf.shape(leaves[0])[1] if steps is None else steps
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "size", -(-steps // count))

    def check_steps(self, tensor: tf.Tensor, name: str) -> None:
        """Refuse a tensor with another number of steps than the inputs.

        Raises:
            ValueError: if both are static; else tf.errors.InvalidArgumentError when the step runs.
        """
        message = (
            f"`{name}` must have as many time steps as all other inputs and outputs with a time axis under strategy "
            f"'sequence'. Pad them to one length"
        )
        if len(tensor.shape) < 2:
            raise ValueError(f"{message}; got the shape {tuple(tensor.shape)}.")
        if isinstance(self.steps, int) and tensor.shape[1] is not None:
            if tensor.shape[1] != self.steps:
                raise ValueError(f"{message}; got {tensor.shape[1]} and {self.steps} steps.")
        else:
            tf.debugging.assert_equal(tf.shape(tensor)[1], self.steps, message=f"{message}.")

    def cut_steps(self, tensor: tf.Tensor, index: int, name: str) -> tf.Tensor:
        """Return the steps of a slice of a tensor (rows, time, ...)."""
        self.check_steps(tensor, name)
        begin = index * self.size
        return tensor[:, begin : begin + self.size]


class SequenceShard:
    """Cuts the tensors of a batch for one replica.

    Args:
        axes: of the model.
        cut: of the batch.
        index: of the replica's slice.
    """

    def __init__(self, axes: TimeAxes, cut: BatchCut, index: int):
        self._axes, self._cut, self._index = axes, cut, index
        self._with_time: list[tf.Tensor] = []
        self._has_row_weights = False

    def cut_inputs(self, x: Nest) -> Nest:
        """Cut inputs with the time axis; return the others whole."""
        leaves = _by_name(x, self._axes.input_names)
        flags = {id(leaf): flag for leaf, flag in zip(leaves, self._axes.inputs, strict=True)}
        return tf.nest.map_structure(lambda t: self._cut.cut_steps(t, self._index, "x") if flags[id(t)] else t, x)

    def cut_targets(self, y: Nest) -> Nest:
        """Cut targets of outputs with the time axis along it, and others by rows."""
        return None if y is None else _map_targets(lambda flag, t: self._cut_target(flag, t, "y"), self._axes, y)

    def cut_sample_weight(self, y: Nest, sample_weight: Nest) -> Nest:
        """Cut sample weights as the targets, those of rows by rows; return a nest like `y` unless all are None."""
        if sample_weight is None:
            return None
        if not keras.tree.is_nested(sample_weight):
            sample_weight = keras.tree.map_structure(lambda _: sample_weight, y)
        return _map_targets(self._cut_weight, self._axes, sample_weight)

    def _cut_weight(self, has_time, weight):
        if weight is None or (has_time and (len(weight.shape) < 2 or weight.shape[1] == 1)):
            is_one_step = isinstance(self._cut.steps, int) and self._cut.steps == 1
            self._has_row_weights |= weight is not None and not is_one_step
            return weight  # of whole rows
        return self._cut_target(has_time, weight, "sample_weight")

    def _cut_target(self, has_time, tensor, name):
        if tensor is None:
            return None
        if has_time:
            return self._cut.cut_steps(tensor, self._index, name)
        return slice_rows(tensor, self._index, self._cut.count)[1]

    def cut_outputs(self, outputs: Nest) -> Nest:
        """Return this replica's rows of outputs without the time axis; those with it are cut already."""

        def select(has_time, output):
            if has_time:
                self._with_time.append(output)
                return output
            return slice_rows(output, self._index, self._cut.count)[1]

        return keras.tree.map_structure(select, self._axes.outputs, outputs)

    def has_time(self, output: Any) -> bool:
        """Return whether a tensor that `cut_outputs` returned has the time axis."""
        return any(output is each for each in self._with_time)

    def is_row_weight(self, weight: tf.Tensor, output: tf.Tensor) -> bool:
        """Return whether a sample weight is of whole rows, given the output with the time axis that it weighs."""
        if len(weight.shape) < 2 or weight.shape[1] != 1:
            return len(weight.shape) < 2
        return output.shape[1] != 1 or self._has_row_weights

    def fraction(self, output: tf.Tensor) -> tf.Tensor:
        """Return the fraction of the whole sequence's steps that an output has, float32 scalar."""
        if not self.has_time(output):
            return tf.constant(1.0)
        own, all_steps = tf.cast(tf.shape(output)[1], tf.float32), tf.cast(self._cut.steps, tf.float32)
        return tf.math.divide_no_nan(own, all_steps)


def _by_name(x: Nest, names: list[str]) -> list:
    """Return the leaves of a nest of inputs, in the order of the model's inputs."""
    if isinstance(x, dict) and set(names) <= set(x):
        return [x[name] for name in names]
    return tf.nest.flatten(x)


def _map_targets(function: Callable, axes: TimeAxes, nest: Nest) -> Nest:
    """Map (has the time axis, tensor) of a nest that has the structure of the outputs, or is a dict by their names."""
    flags = keras.tree.flatten(axes.outputs)
    if isinstance(nest, dict) and set(nest) <= set(axes.output_names):
        of_name = dict(zip(axes.output_names, flags, strict=True))
        return {name: function(of_name[name], leaf) for name, leaf in nest.items()}
    leaves = tf.nest.flatten(nest)
    if len(leaves) != len(flags):
        raise ValueError(
            f"`y` must have one tensor for each of the {len(flags)} outputs under strategy 'sequence'; got "
            f"{len(leaves)}. Pass None for outputs without a loss."
        )
    mapped = [function(flag, leaf) for flag, leaf in zip(flags, leaves, strict=True)]
    return tf.nest.pack_sequence_as(nest, mapped)
