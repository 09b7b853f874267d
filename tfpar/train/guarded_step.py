"""One replica's training step that is skipped if the loss or a gradient of any replica is not finite."""

import functools

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.train import step
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.evaluation import metrics_result
from tfpar.train.microbatches import MicrobatchFunction, MicrobatchSums, add_sums
from tfpar.train.replica import all_variables, local_components, metric_and_other_variables
from tfpar.train.sharding import check_same_batch, fingerprint_terms
from tfpar.train.step_context import current_step
from tfpar.train.step_guard import StepGuard
from tfpar.train.stop import record_stops, stop_terms
from tfpar.train.types import Logs, Nest


def train_step(model: keras.Model, guard: StepGuard, shard: Nest) -> Logs:
    """Train on one global batch, or skip it; called in each replica with its rows: see `tfpar.train.step.train_step`.

    A skipped batch changes no weight, no variable of the optimizer, no metric and no moving statistic, on any replica.
    """
    function, sums, seeds = step.sum_over_lanes(model, shard)
    increments = None
    if step.count_replicas() > 1:
        total = add_sums(sums)
        increments, sums = total.metrics, [_sum_over_replicas(model, total)]
    sums, tables = step.split_off_tables(model, sums)
    update = functools.partial(_update_if_finite, model, guard, function)
    logs, is_finite = model.compile_with_xla(update, has_recurrence=False)(sums, tables, seeds, increments)
    guard.save_if_skipped(is_finite, shard)
    return logs


def _sum_over_replicas(model, sums: MicrobatchSums) -> MicrobatchSums:
    """Add the sums of all replicas, without an assignment to the metrics: `metrics` become their totals."""
    metric_variables, _ = metric_and_other_variables(model)
    is_finite = _is_loss_finite(model, sums.metrics)
    with local_components(metric_variables):
        pairs = zip(metric_variables, sums.metrics, strict=True)
        totals = [variable + tf.where(is_finite, increment, 0) for variable, increment in pairs]
    non_finite = [1 - tf.cast(is_finite, tf.float32)]
    moves_rows = model.jit_compile and current_step().has_even_shards_on_workers
    sent = sums._replace(metrics=totals, fingerprints=fingerprint_terms(), non_finite=non_finite)
    total, stops = all_reduce_sum((sent, stop_terms()), moves_rows)
    record_stops(stops)
    check_same_batch(total.fingerprints, step.count_replicas())
    return total._replace(fingerprints=[])


def _update_if_finite(model, guard, function: MicrobatchFunction, sums, tables, seeds, increments):
    """Assign the sums over microbatches and step the optimizer if they are finite; return the logs, and whether."""
    total = add_sums(sums)
    gradients = [g if table is None else table for g, table in zip(total.gradients, tables, strict=True)]
    own = total.metrics if increments is None else increments
    is_finite = tf.reduce_all([n == 0 for n in total.non_finite] + [_is_loss_finite(model, own)])
    if not isinstance(
        model.optimizer, keras.optimizers.LossScaleOptimizer
    ):  # which skips overflows, and adapts to them
        is_finite &= _are_finite(gradients)
    metric_variables, _ = metric_and_other_variables(model)
    with local_components([*all_variables(model), *guard.variables]):
        totals = [v + tf.where(is_finite, increment, 0) for v, increment in zip(metric_variables, own, strict=True)]
        for variable, value in zip(metric_variables, totals, strict=True):
            variable.assign(value)
        for variable, value in zip(function.statistics, total.statistics, strict=True):
            variable.assign(tf.where(is_finite, value / tf.cast(total.rows, value.dtype), variable))
        for variable, value in zip(function.seeds, seeds, strict=True):
            variable.assign(value)
        guard.count(is_finite)

        def apply():
            step.apply_locally(model, gradients, total.weight)
            return True

        tf.cond(is_finite, apply, lambda: False)
    logs = metrics_result(model, metric_variables, totals if increments is None else total.metrics)
    return logs, is_finite


def _is_loss_finite(model, increments) -> tf.Tensor:
    """Return whether the increments of the metric that averages the loss are finite."""
    metric_variables, _ = metric_and_other_variables(model)
    of_loss = {id(variable) for variable in keras_private.loss_tracker(model).variables}
    pairs = zip(metric_variables, increments, strict=True)
    return _are_finite([increment for variable, increment in pairs if id(variable) in of_loss])


def _are_finite(tensors) -> tf.Tensor:
    tensors = [tensor for tensor in tensors if tensor is not None]
    tensors = [tensor.values if isinstance(tensor, tf.IndexedSlices) else tensor for tensor in tensors]
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(t)) for t in tensors if t.dtype.is_floating] or [True])
