"""A recurrent language model."""

import keras

from tfpar.checks import check_positive_integer
from tfpar.layers.dropout import Dropout
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.models.image_layers import dense
from tfpar.models.series_layers import recurrent


def language_model(
    *,
    vocabulary_size: int,
    cell: str | type[RecurrentLayer] = "lstm",
    units: int = 256,
    layers: int = 1,
    embedding_size: int = 64,
    dropout: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Build a recurrent language model (Mikolov et al. 2010).

    tokens -> embedding -> recurrent layers -> logits. From the second one on, a recurrent layer reads the layer
    normalization of its input, and its output is added to the input.

    Args:
        vocabulary_size: number of token ids.
        cell: one of `CELLS`, "module:Class" or a subclass of `tfpar.layers.RecurrentLayer`.
        units: of each recurrent layer.
        layers: number of stacked recurrent layers.
        embedding_size: number of learned features of a token.
        dropout: of the outputs of each recurrent layer.
        seed: of the initial weights and the dropout.

    Returns:
        int32 (batch, time) "tokens" -> float32 (batch, time, vocabulary_size) "logits" of the next token.

    Raises:
        ValueError: an argument is out of range.
    """
    for name, value in (("layers", layers), ("vocabulary_size", vocabulary_size), ("embedding_size", embedding_size)):
        check_positive_integer(name, value)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embeddings_initializer = keras.initializers.RandomNormal(stddev=0.1, seed=seed)
    x = keras.layers.Embedding(vocabulary_size, embedding_size, embeddings_initializer, name="embedding")(tokens)
    for depth in range(layers):
        y = keras.layers.LayerNormalization(name=f"normalization_{depth}")(x) if depth else x
        y = recurrent(cell, units, f"recurrent_{depth}", seed + 10 * depth)(y)
        y = Dropout(dropout, seed=seed + 10 * depth + 5, name=f"dropout_{depth}")(y)
        x = keras.layers.Add(name=f"residual_{depth}")([x, y]) if depth else y
    if layers > 1:
        x = keras.layers.LayerNormalization(name="normalization")(x)
    logits = dense(vocabulary_size, "logits", seed + 1, dtype="float32")(x)
    return keras.Model(tokens, logits, name="language_model")
