"""An ensemble of recurrent text classifiers in one network."""

from typing import NamedTuple

import keras
import numpy as np

from tfpar import layers
from tfpar.checks import check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.cells import LAYERS, find_layer

CELLS = LAYERS

POOLINGS = ("last", "max", "mean", "attention")


class _Embedding(NamedTuple):
    """Arguments of the embedding of tokens; see `text_classifier`."""

    vocabulary_size: int
    embedding_size: int
    token_scores: np.ndarray | None
    token_dropout: float


class _Recurrence(NamedTuple):
    """Arguments of the recurrent layers; see `text_classifier`."""

    cell: type[RecurrentLayer]
    units: int
    bidirectional: bool
    recurrent_layers: int
    input_dropout: float
    recurrent_dropout: float


class _Head(NamedTuple):
    """Arguments of what follows the recurrent layers; see `text_classifier`."""

    num_classes: int
    pooling: str
    dropout: float


def text_classifier(
    *,
    vocabulary_size: int,
    num_classes: int,
    cell: str | type[RecurrentLayer] = "lstm",
    units: int = 64,
    embedding_size: int = 128,
    bidirectional: bool = True,
    recurrent_layers: int = 1,
    pooling: str = "max",
    members: int = 1,
    dropout: float = 0.5,
    input_dropout: float = 0.5,
    recurrent_dropout: float = 0.0,
    token_dropout: float = 0.15,
    token_scores: np.ndarray | None = None,
    wide: keras.layers.Layer | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build an ensemble of classifiers of token sequences with a common input and no common weights.

    Each member is: tokens -> embedding -> recurrent layers -> pooling over valid steps -> logits. They are a deep
    ensemble, trained in one program and exported as one file (Lakshminarayanan et al. 2017, arXiv:1612.01474).

    Args:
        vocabulary_size: number of token ids; 0 is padding, 1 the unknown token.
        num_classes: number of classes.
        cell: one of `CELLS`, "module:Class" or a subclass of `tfpar.layers.RecurrentLayer`.
        units: of each recurrent layer and direction.
        embedding_size: number of learned features of a token.
        bidirectional: run the recurrent layers in both directions.
        recurrent_layers, members: number of stacked recurrent layers, and of members.
        pooling: one of `POOLINGS`; "last" is the last output of each direction.
        dropout: of the pooled features.
        input_dropout, recurrent_dropout: of the embeddings and of h[t-1], the same features at each step.
        token_dropout: fraction of tokens to replace by the unknown token.
        token_scores: float (vocabulary_size, scores), prior scores of each token, such as log-odds. They initialize
            additional trained columns of each member's embedding.
        wide: a layer from tokens to logits float (batch, num_classes), which is one more member.
        seed: of the initial weights and the dropout.

    Returns:
        int32 (batch, time) "tokens" -> float (batch, members, num_classes) "logits"; `wide` adds one member.

    Raises:
        ValueError: an argument is out of range.
    """
    check_one_of("pooling", pooling, POOLINGS)
    for name, value in (("members", members), ("recurrent_layers", recurrent_layers), ("num_classes", num_classes)):
        check_positive_integer(name, value)
    embedding = _Embedding(vocabulary_size, embedding_size, token_scores, token_dropout)
    recurrence = _Recurrence(find_layer(cell), units, bidirectional, recurrent_layers, input_dropout, recurrent_dropout)
    head = _Head(num_classes, pooling, dropout)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    logits = [
        _build_member(embedding, recurrence, head, tokens, index, seed + 1000 * index) for index in range(members)
    ]
    if wide is not None:
        logits.append(_as_member(wide(tokens), num_classes, "wide"))
    return keras.Model(tokens, _concatenate(logits))


def _concatenate(logits):
    if len(logits) == 1:
        return logits[0]
    return keras.layers.Concatenate(axis=1, dtype="float32", name="logits")(logits)


def _as_member(logits, num_classes, suffix):
    """Reshape logits to float (batch, 1, num_classes)."""
    return keras.layers.Reshape((1, num_classes), dtype="float32", name=f"member_{suffix}")(logits)


def _build_member(embedding, recurrence, head, tokens, index, seed):
    """Build one member: float (batch, 1, num_classes)."""
    suffix, scores = f"_{index}", embedding.token_scores
    x = layers.TokenDropout(embedding.token_dropout, seed=seed, name="token_dropout" + suffix)(tokens)
    x = keras.layers.Embedding(
        embedding.vocabulary_size,
        embedding.embedding_size + (0 if scores is None else scores.shape[1]),
        embeddings_initializer=_ScoredEmbedding(scores, seed),
        mask_zero=True,
        name="embedding" + suffix,
    )(x)
    for depth in range(recurrence.recurrent_layers):
        last_only = depth == recurrence.recurrent_layers - 1 and head.pooling == "last"
        x = _make_layer(recurrence, last_only, f"recurrent_{depth}{suffix}", seed + 10 * depth)(x)
    x = _pool(head.pooling, recurrence.units, suffix, x)
    x = layers.Dropout(head.dropout, seed=seed + 1, name="dropout" + suffix)(x)
    initializer = keras.initializers.GlorotUniform(seed + 2)
    dense = keras.layers.Dense(head.num_classes, kernel_initializer=initializer, dtype="float32", name="dense" + suffix)
    return _as_member(dense(x), head.num_classes, index)


def _make_layer(recurrence, last_only, name, seed):
    def one_direction(go_backwards, seed):
        return recurrence.cell(
            recurrence.units,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 1),
            dropout=recurrence.input_dropout,
            recurrent_dropout=recurrence.recurrent_dropout,
            seed=seed + 2,
            return_sequences=not last_only,
            go_backwards=go_backwards,
            name=f"backward_{name}" if go_backwards else name,
        )

    forward = one_direction(False, seed + 3)
    if not recurrence.bidirectional:
        return forward
    return layers.Bidirectional(forward, backward_layer=one_direction(True, seed + 6), name=name)


def _pool(pooling, units, suffix, x):
    if pooling == "last":
        return x
    name = f"{pooling}_pooling{suffix}"
    if pooling == "attention":
        return layers.AttentionPooling(units, name=name)(x)
    return {"max": layers.MaxPooling, "mean": layers.MeanPooling}[pooling](name=name)(x)


@keras.saving.register_keras_serializable(package="tfpar")
class _ScoredEmbedding(keras.initializers.Initializer):
    """Normal initializer of standard deviation 0.1, with scores in the last columns and zeros for padding."""

    def __init__(self, scores, seed):
        self.scores = scores
        self.seed = seed

    def __call__(self, shape, dtype=None):
        table = np.random.default_rng(self.seed).normal(0, 0.1, shape)
        if self.scores is not None:
            table[:, -self.scores.shape[1] :] = self.scores
        table[0] = 0
        return keras.ops.convert_to_tensor(table, dtype=dtype)

    def get_config(self):
        return {"scores": None, "seed": self.seed}
