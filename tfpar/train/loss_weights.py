"""Computes the weights of the losses over the global batch, before its microbatches are computed."""

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.batch_losses import LossArguments, gather_arguments, splits_by_rows
from tfpar.train.losses import BatchLossWeights, MicrobatchLoss, compute_model_loss, needs_batch_weights
from tfpar.train.microbatches import run_statelessly, split_shard
from tfpar.train.replica import all_variables, local_components, metric_and_other_variables
from tfpar.train.step_context import current_step
from tfpar.train.types import Nest


def compute_batch_loss_weights(
    model: keras.Model, shard: Nest, microbatches: int, training: bool
) -> BatchLossWeights | None:
    """Compute the losses' weights by one more forward pass, if there are several microbatches that need them.

    Args:
        model: compiled `tfpar.train.Model`.
        shard: (x,), (x, y) or (x, y, sample_weight), this replica's rows.
        microbatches: number of microbatches of the global batch.
        training: whether to run the model as in training.
    """
    if microbatches == 1:
        return None
    # Where replicas divide the time axis, `check_loss` refuses losses that do not split.
    unsplit = [] if current_step().sequence_shard is not None else _find_unsplit_losses(model, shard)
    if not unsplit and not needs_batch_weights(keras_private.compiled_loss(model)):
        return None
    offset, rows = split_shard(shard, 1)[0]

    def compute_weights(offset, rows):
        loss = _compute_loss_only(model, offset, rows, training)
        return tf.stack(loss.weights), [loss.arguments[index] for index in unsplit]

    weights, own = model.compile_with_xla(compute_weights)(offset, rows)
    weights = all_reduce_sum(weights)
    arguments: list[LossArguments | None] = [None] * (weights.shape[0] - 1)
    for index, of_shard in zip(unsplit, own, strict=True):
        arguments[index] = gather_arguments(of_shard, offset)
    return BatchLossWeights(weights[:-1], weights[-1], microbatches, arguments)


def _find_unsplit_losses(model, shard) -> list[int]:
    """Return the indices of the losses that do not split by rows."""
    container = keras_private.compiled_loss(model)
    losses = keras_private.flat_losses(container)
    splits = [splits_by_rows(loss) for loss in losses]
    if None in splits and (known := vars(container).get("known_splits")):
        splits = known
    elif None in splits:
        specs = tf.nest.map_structure(
            lambda t: None if t is None else tf.TensorSpec((None, *t.shape[1:]), t.dtype), shard
        )

        def probe(rows):
            splits[:] = map(splits_by_rows, losses, _compute_loss_only(model, 0, rows, training=False).arguments)

        with local_components(all_variables(model)):
            tf.function(probe, autograph=False).get_concrete_function(specs)
        vars(container)["known_splits"] = splits
    return [index for index, does_split in enumerate(splits) if not does_split]


def _compute_loss_only(model, offset, rows, training) -> MicrobatchLoss:
    """Compute the loss of a microbatch, and discard all assignments."""

    def compute(rows):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(rows)
        return compute_model_loss(model, x, y, sample_weight, training)[0]

    return run_statelessly(compute, offset, rows, *metric_and_other_variables(model))[0]
