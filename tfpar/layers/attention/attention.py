"""Attention of many steps to a sequence, by dot products or by an additive score, with one head or several.

    score[t, s] = q[t] . k[s]                    "dot": Luong et al. 2015, arXiv:1508.04025 (their "general", with keys
                                                 that are projections of the values)
    score[t, s] = v . tanh(q[t] + k[s])          "additive": Bahdanau et al. 2014, arXiv:1409.0473
    a[t]        = softmax over valid s of score[t, s]
    context[t]  = sum over s of a[t, s] values[s]

With several heads, features are split among them and each has its own scores (Vaswani et al. 2017, arXiv:1706.03762).
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.layers.argument_types import Shape

SCORES = ("dot", "additive")
_MASKED = -1e9


@keras.saving.register_keras_serializable(package="tfpar")
class Attention(keras.layers.Layer):
    """Attention of the module's equations, without projections of queries, keys and values.

    Args:
        score: one of `SCORES`.
        heads: must divide the features of queries, keys and values.
        **kwargs: see `keras.layers.Layer`.
    """

    def __init__(self, score: str = "dot", heads: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.score = check_one_of("score", score, SCORES)
        self.heads = check_positive_integer("heads", heads)

    def build(
        self, query_shape: Shape, keys_shape: Shape, values_shape: Shape, valid_shape: Shape | None = None
    ) -> None:
        for name, shape in (("query", query_shape), ("keys", keys_shape), ("values", values_shape)):
            if shape[-1] % self.heads:
                raise ValueError(f"`heads` must divide the features of `{name}`, {shape[-1]}; got heads={self.heads}")
        if query_shape[-1] != keys_shape[-1]:
            raise ValueError(
                f"`query` and `keys` must have the same number of features; got {query_shape} and {keys_shape}"
            )
        if self.score == "additive":
            self.scale = self.add_weight(name="scale", shape=(query_shape[-1],), initializer="glorot_uniform")

    def call(
        self, query: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, valid: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute contexts and alignments.

        Args:
            query: float (batch, queries, features).
            keys: float (batch, steps, features).
            values: float (batch, steps, value_features).
            valid: bool (batch, steps), the steps that may be attended to, at least one in each row; None: all.

        Returns:
            The contexts, float (batch, queries, value_features), and the alignment, float (batch, queries, steps);
            with several heads the mean of their alignments.
        """
        query, keys, values = map(self._split, (query, keys, values))
        scores = self._additive_scores(query, keys) if self.score == "additive" else self._dot_scores(query, keys)
        if valid is not None:
            shape = (-1, *[1] * (len(scores.shape) - 2), ops.shape(valid)[-1])
            scores = ops.where(ops.reshape(valid, shape), scores, ops.cast(_MASKED, scores.dtype))
        alignment = ops.softmax(scores)
        context = ops.matmul(alignment, values)
        if self.heads == 1:
            return context, alignment
        context = ops.transpose(context, (0, 2, 1, 3))
        return ops.reshape(context, (-1, *_queries(context), self._features(context))), ops.mean(alignment, axis=1)

    def _features(self, context):
        return context.shape[-1] * self.heads

    def _split(self, tensor):
        """Split features to (batch, heads, steps, features of a head); one head needs no split."""
        if self.heads == 1:
            return tensor
        split = ops.reshape(tensor, (-1, ops.shape(tensor)[1], self.heads, tensor.shape[-1] // self.heads))
        return ops.transpose(split, (0, 2, 1, 3))

    def _dot_scores(self, query, keys):
        axes = (*range(len(keys.shape) - 2), -1, -2)
        scores = ops.matmul(query, ops.transpose(keys, [axis % len(keys.shape) for axis in axes]))
        return scores * query.shape[-1] ** -0.5

    def _additive_scores(self, query, keys):
        summed = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(keys, -3))
        shape = (1, self.heads, 1, 1, -1) if self.heads > 1 else (-1,)
        return ops.sum(summed * ops.reshape(self.scale, shape), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "score": self.score, "heads": self.heads}


def _queries(context):
    return (ops.shape(context)[1],)
