"""Dropout with masks that do not depend on the number of replicas."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpar.checks import check_fraction
from tfpar.layers.argument_types import Shape
from tfpar.layers.call_context import call_context, first_row
from tfpar.layers.step_layer import StepLayer
from tfpar.ops.random import uniform


def dropout_mask(
    shape: Sequence[int | tf.Tensor],
    rate: float,
    seed_generator: keras.random.SeedGenerator,
    dtype: str,
    has_time: bool = False,
) -> tf.Tensor:
    """Draw a scaled dropout mask for this replica's rows of the global batch.

    An entry depends only on the seed and on its index in the global batch, so masks are equal with and without XLA, and
    on any number of replicas with shards of equal size.

    Args:
        shape: (rows of this replica, ...).
        rate: fraction of entries to drop, in [0, 1).
        seed_generator: of the layer.
        dtype: of the mask.
        has_time: the second axis is time, of which this replica may have a slice.

    Returns:
        Of `shape`: 0, or 1 / (1 - rate).
    """
    rows, *row_shape = shape
    time_slice = call_context().time_slice if has_time else None
    steps = {} if time_slice is None else {"first_step": time_slice.first_step, "steps": time_slice.steps}
    is_retained = uniform(rows, row_shape, seed_generator.next(), first_row(rows), **steps) >= rate
    return tf.cast(is_retained, dtype) / tf.cast(1 - rate, dtype)


@keras.saving.register_keras_serializable(package="tfpar")
class Dropout(StepLayer, keras.layers.Layer):
    """`keras.layers.Dropout` with a mask that does not depend on the number of replicas.

    Args:
        rate: fraction of the features to drop, in [0, 1).
        seed: of the masks.
        **kwargs: see `keras.layers.Layer`.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = check_fraction("rate", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not (training and self.rate):
            return inputs
        shape = tf.unstack(tf.shape(inputs))
        return inputs * dropout_mask(shape, self.rate, self.seed_generator, inputs.dtype, has_time=len(shape) > 2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="tfpar")
class TokenDropout(keras.layers.Layer):
    """Replacement of random tokens by the unknown token, which regularizes classifiers.

    Args:
        rate: fraction of tokens to replace, in [0, 1). Padding (id 0) is never replaced.
        unknown_id: id of the unknown token.
        seed: of the masks.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        tokens: int (batch, time).

    References:
        Iyyer et al. 2015, Deep Unordered Composition Rivals Syntactic Methods for Text Classification, section 3.
    """

    def __init__(self, rate: float, unknown_id: int = 1, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = check_fraction("rate", rate)
        self.unknown_id = unknown_id
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not (training and self.rate):
            return tokens
        shape = tf.unstack(tf.shape(tokens))
        is_retained = dropout_mask(shape, self.rate, self.seed_generator, "float32", has_time=True) > 0
        return tf.where(is_retained | (tokens == 0), tokens, tf.cast(self.unknown_id, tokens.dtype))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "unknown_id": self.unknown_id, "seed": self.seed}
