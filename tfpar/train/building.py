"""Builds a model from the first batch of `fit`."""

import numpy as np
import tensorflow as tf

from tfpar import keras_private
from tfpar.train import step
from tfpar.train.accumulation import add_accumulated_weight


def build_from_batch(model, batch) -> None:
    """Build a model from the shapes of a batch; Keras would run on the batch, which fails on several workers."""
    batch = tf.nest.map_structure(_describe_shard, batch)
    with model.distribute_strategy.scope():
        try:
            keras_private.build_symbolically(model, batch)
        except Exception:
            if step.count_microbatches(model) > 1 or model.step_guard is not None:
                raise
            return  # as in Keras, the first step builds a model that cannot be built symbolically
        add_accumulated_weight(model.optimizer)
        model.has_seen_data = True


def _describe_shard(leaf):
    """Return an object of the shape and dtype of one replica's rows of a leaf of a batch, or of its `tf.TypeSpec`."""
    leaf = keras_private.replica_spec(leaf)
    if hasattr(leaf, "shape"):
        return leaf
    return None if leaf is None or isinstance(leaf, tf.TypeSpec) else np.asarray(leaf)
