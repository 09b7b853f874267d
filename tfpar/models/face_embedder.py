"""Embeddings of faces: directions in a space in which pictures of one person lie close together."""

import keras

from tfpar.checks import check_positive_integer
from tfpar.models.image_layers import ImageEncoder, dense, dropout, image_input


def face_embedder(
    kind: str = "cnn",
    *,
    image_shape: tuple[int, int, int],
    embedding_size: int = 128,
    dropout_rate: float = 0.3,
    **encoder,
) -> keras.Model:
    """Builds a network from images to embeddings; put `tfpar.layers.CosineLogits` behind it to train it.

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
