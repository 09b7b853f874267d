"""One replica's training step: forward and backward, an all-reduce of the gradients, the optimizer's update."""

import functools
import warnings
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.train import row_gradients
from tfpar.train.accumulation import accepts_rows, apply_sums
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.checks import find_synchronized_layers
from tfpar.train.evaluation import metrics_result
from tfpar.train.loss_weights import compute_batch_loss_weights
from tfpar.train.losses import compute_model_loss
from tfpar.train.microbatches import MicrobatchFunction, MicrobatchSums, add_sums, has_static_shape, split_shard
from tfpar.train.replica import all_variables, local_components, metric_and_other_variables, single_device
from tfpar.train.sequence_losses import metrics_weighted_by_steps
from tfpar.train.sharding import check_same_batch, fingerprint_terms
from tfpar.train.step_context import current_step, step_context
from tfpar.train.stop import record_stops, stop_terms
from tfpar.train.types import Gradient, Logs, Nest


def train_step(model: keras.Model, shard: Nest) -> Logs:
    """Train on one global batch; called in each replica with its rows.

    Args:
        model: `tfpar.train.Model`.
        shard: (x,), (x, y) or (x, y, sample_weight), this replica's rows.

    Returns:
        The logs, by name.
    """
    if count_microbatches(model) == 1:
        step = functools.partial(_step_on_whole_batch, model)
        return (model.compile_with_xla(step) if has_static_shape(shard) else step)(shard)
    function, sums, seeds = sum_over_lanes(model, shard)
    if count_replicas() > 1:
        sums = [_sum_over_replicas(model, add_sums(sums))]
    sums, tables = split_off_tables(model, sums)
    update = functools.partial(_update, model, function)
    return model.compile_with_xla(update, has_recurrence=False)(sums, tables, seeds)


def count_microbatches(model: keras.Model) -> int:
    """Return how many microbatches a global batch of training has."""
    return count_replicas() * model.lanes


def forward_backward(model: keras.Model, data: Nest) -> tuple[list[Gradient | None], tf.Tensor, Logs]:
    """Compute gradients and logs of a microbatch: see `tfpar.train.Model.forward_backward`."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        loss, y_pred = compute_model_loss(model, x, y, sample_weight, training=True)
        scaled_loss = model.optimizer.scale_loss(loss.value) if model.optimizer else loss.value
        weight = loss.weight
        if current_step().sequence_shard is not None or find_synchronized_layers(model):
            # States and statistics carry gradients to other replicas, so they must have the weight of the loss that
            # they come from.
            scaled_loss, weight = scaled_loss * tf.cast(tf.stop_gradient(weight), scaled_loss.dtype), tf.constant(1.0)
    gradients = tape.gradient(scaled_loss, [v.value for v in model.trainable_variables])
    pairs = zip(gradients, model.trainable_variables, strict=True)
    keeps_rows = _keeps_rows(model)
    sums = [None if g is None else row_gradients.scale(g, weight, v.value, keeps_rows) for g, v in pairs]
    keras_private.loss_tracker(model).update_state(loss.value, sample_weight=loss.weight)
    with metrics_weighted_by_steps(model):
        return sums, loss.weight, model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def apply_gradients(model: keras.Model, sums: Sequence, weight: tf.Tensor) -> None:
    """Step the optimizer: see `tfpar.train.Model.apply_gradients`."""
    pairs = list(zip(sums, model.trainable_variables, strict=True))
    if not pairs:
        warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return
    with single_device(model.optimizer):
        apply_sums(model.optimizer, pairs, weight)


def count_replicas() -> int:
    """Return the number of replicas of the strategy in scope."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def _step_on_whole_batch(model, data):
    """Train on a batch that is not cut into microbatches."""

    def forward_backward_of_batch(data):
        sums, weight, logs = model.forward_backward(data)
        return sums if _keeps_rows(model) else row_gradients.as_tensors(sums), weight, logs

    sums, weight, logs = model.compile_with_xla(forward_backward_of_batch)(data)
    model.compile_with_xla(functools.partial(apply_locally, model), has_recurrence=False)(sums, weight)
    return logs


def _keeps_rows(model) -> bool:
    """Return whether the optimizer gets the touched rows of an embedding table, as Keras' do without XLA."""
    return count_microbatches(model) == 1 and not model.jit_compile and accepts_rows(model.optimizer)


def apply_locally(model, sums, weight):
    """Apply gradients to this replica's components of the variables."""
    pairs = zip(sums, model.trainable_variables, strict=True)
    sums = [tf.ensure_shape(g, v.shape) if isinstance(g, tf.Tensor) else g for g, v in pairs]
    with local_components(all_variables(model)):
        model.apply_gradients(sums, weight)


def sum_over_lanes(model, shard) -> tuple[MicrobatchFunction, list[MicrobatchSums], list]:
    """Run `forward_backward` on this replica's microbatches; return the function, their sums, and values of seeds."""
    function = MicrobatchFunction(model.forward_backward, *metric_and_other_variables(model))

    def forward_backward_of_microbatch(offset, rows, loss_weights):
        with step_context(loss_weights=loss_weights):
            return function(offset, rows)

    compiled = model.compile_with_xla(forward_backward_of_microbatch)
    loss_weights = compute_batch_loss_weights(model, shard, count_microbatches(model), training=True)
    results = [compiled(*microbatch, loss_weights) for microbatch in split_shard(shard, model.lanes)]
    sums, seeds = zip(*results, strict=True)
    return function, list(sums), seeds[0]


def _sum_over_replicas(model, sums: MicrobatchSums) -> MicrobatchSums:
    """Add the sums of all replicas; `metrics` become the totals of the metrics' variables over all replicas."""
    # Replicas' threads switch at an all-reduce, so no `local_components` may be active there.
    totals = _add_to_metrics(model, sums.metrics)
    # XLA's programs have static shapes: even shards have touched equally many rows of a table.
    moves_rows = model.jit_compile and current_step().has_even_shards_on_workers
    sums = sums._replace(metrics=totals, fingerprints=fingerprint_terms())
    total, stops = all_reduce_sum((sums, stop_terms()), moves_rows)
    record_stops(stops)
    check_same_batch(total.fingerprints, count_replicas())
    return total._replace(fingerprints=[])


def _add_to_metrics(model, increments) -> list[tf.Tensor]:
    """Add to this replica's variables of metrics, and return them: Keras sums those of replicas when it reads them."""
    variables, _ = metric_and_other_variables(model)
    with local_components(variables):
        totals = [variable + increment for variable, increment in zip(variables, increments, strict=True)]
        for variable, total in zip(variables, totals, strict=True):
            variable.assign(total)
    return totals


def split_off_tables(model, sums: list[MicrobatchSums]) -> tuple[list[MicrobatchSums], list]:
    """Separate the gradients of embedding tables, whose rows XLA adds in half of TensorFlow's time.

    Returns:
        `sums` with None for these gradients; and for each variable None or, if it is a table, its whole gradient.
    """
    by_variable = zip(*(each.gradients for each in sums), strict=True)
    rows = [row_gradients.add(g) if isinstance(g[0], tf.IndexedSlices) else None for g in by_variable]
    dense = [each._replace(gradients=[row_gradients.drop_rows(g) for g in each.gradients]) for each in sums]
    if all(gradient is None for gradient in rows):
        return dense, rows
    return dense, model.compile_with_xla(row_gradients.as_tensors, has_recurrence=False)(rows)


def _update(model, function: MicrobatchFunction, sums, tables, seeds) -> dict:
    """Assign the sums over microbatches to this replica's variables, step the optimizer, and return the logs."""
    total = add_sums(sums)
    metric_variables, _ = metric_and_other_variables(model)
    with local_components(all_variables(model)):
        totals = _add_to_metrics(model, total.metrics) if count_replicas() == 1 else total.metrics
        for variable, value in zip(function.statistics, total.statistics, strict=True):
            variable.assign(value / tf.cast(total.rows, value.dtype))
        for variable, value in zip(function.seeds, seeds, strict=True):
            variable.assign(value)
    pairs = zip(total.gradients, tables, strict=True)
    apply_locally(model, [g if table is None else table for g, table in pairs], total.weight)
    return metrics_result(model, metric_variables, totals)
