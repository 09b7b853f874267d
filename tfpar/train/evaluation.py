"""One replica's step of `evaluate` and of validation, and the metrics of all replicas."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.loss_weights import compute_batch_loss_weights
from tfpar.train.losses import compute_model_loss
from tfpar.train.replica import local_components, metric_and_other_variables
from tfpar.train.sequence_losses import metrics_weighted_by_steps
from tfpar.train.sharding import check_same_batch, fingerprint_terms
from tfpar.train.step_context import step_context
from tfpar.train.stop import record_stops, stop_terms
from tfpar.train.types import Logs, Nest


def evaluate_step(model: keras.Model, shard: Nest) -> Logs:
    """Run a model's `test_step` on one global batch; called in each replica with its rows.

    Args:
        model: `tfpar.train.Model`.
        shard: (x,), (x, y) or (x, y, sample_weight), this replica's rows.

    Returns:
        The logs, by name, with the metrics of all replicas.
    """

    def weighted_step(shard, loss_weights):
        with step_context(loss_weights=loss_weights):
            return model.test_step(shard)

    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    loss_weights = compute_batch_loss_weights(model, shard, replicas, training=False)
    logs = model.compile_with_xla(weighted_step)(shard, loss_weights)
    return logs if replicas == 1 else _with_global_metrics(model, logs, replicas)


def test_step(model: keras.Model, data: Nest) -> Logs:
    """Update the metrics by one batch, or by one replica's rows of it, and return the logs."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    loss, y_pred = compute_model_loss(model, x, y, sample_weight, training=False)
    keras_private.loss_tracker(model).update_state(loss.value, sample_weight=loss.weight)
    with metrics_weighted_by_steps(model):
        return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def metrics_result(model: keras.Model, variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> Logs:
    """Return the results of a model's metrics if their variables had these values."""
    with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
        return model.get_metrics_result()


def _with_global_metrics(model, logs, replicas):
    """Replace the metrics of this replica in `logs` by those of all replicas."""
    variables, _ = metric_and_other_variables(model)
    with local_components(variables):
        values = [tf.identity(variable.value) for variable in variables]
    totals, fingerprints, stops = all_reduce_sum((values, fingerprint_terms(), stop_terms()))
    record_stops(stops)
    check_same_batch(fingerprints, replicas)
    results = metrics_result(model, variables, totals)
    return {name: results.get(name, value) for name, value in logs.items()}
