"""Embeddings of faces: directions in a space in which pictures of one person lie close together."""

from typing import Any

import keras
import numpy as np

from tfpar.checks import check_positive_integer
from tfpar.models.image_layers import ImageEncoder, dense, dropout, image_input


def face_embedder(
    kind: str = "cnn",
    *,
    image_shape: tuple[int, int, int],
    embedding_size: int = 128,
    dropout_rate: float = 0.3,
    **encoder: Any,
) -> keras.Model:
    """Build a network from images to embeddings; train it with `CosineLogits` on top.

    The last layer is a projection head for the people of the training; for others see `without_projection_head` and
    `gabor_embedder`.

    Args:
        kind, image_shape, **encoder: see `ImageEncoder`.
        embedding_size: numbers in an embedding.
        dropout_rate: of the features.

    Returns:
        float32 (batch, height, width, channels) "image", from 0 to 255 -> float32 (batch, embedding_size)
        "embedding", of length 1.

    Raises:
        ValueError: an argument is out of range.
    """
    encode = ImageEncoder(kind, image_shape, **encoder)
    image = image_input(encode)
    x = dropout(dropout_rate, encode.seed + 1000, "dropout_features")(encode(image))
    x = dense(check_positive_integer("embedding_size", embedding_size), "projection", encode.seed + 1001)(x)
    embedding = keras.layers.UnitNormalization(dtype="float32", name="embedding")(x)
    return keras.Model(image, embedding, name="face_embedder")


def without_projection_head(embedder: keras.Model, center: np.ndarray | float = 0.0) -> keras.Model:
    """Remove the projection head of a trained embedder, to compare people that are not in the training set.

    The head keeps what tells the people of the training apart, and drops what would tell others apart.

    Args:
        embedder: made by `face_embedder`.
        center: float (features,), the mean of such embeddings, made with 0, over the pictures of the training. What
            all faces share is no likeness.

    Returns:
        The same images -> float32 (batch, features) "embedding", of length 1.

    References:
        Chen et al. 2020, A simple framework for contrastive learning of visual representations, section 4.2.
    """
    features = embedder.get_layer("dropout_features").input
    x = keras.layers.UnitNormalization(dtype="float32", name="direction")(features)
    x = keras.layers.Rescaling(1.0, -center, dtype="float32", name="centred")(x)
    embedding = keras.layers.UnitNormalization(dtype="float32", name="embedding")(x)
    return keras.Model(embedder.input, embedding, name="face_embedder")
