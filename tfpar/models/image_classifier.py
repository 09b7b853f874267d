"""Image classifiers: convolutions, recurrent networks over rows, or both."""

from typing import Any

import keras

from tfpar.checks import check_positive_integer
from tfpar.models.image_layers import ImageEncoder, dense, dropout, image_input


def image_classifier(
    kind: str = "cnn",
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
    hidden: int = 128,
    dropout_rate: float = 0.3,
    **encoder: Any,
) -> keras.Model:
    """Build an image classifier.

    Args:
        kind, image_shape, **encoder: see `ImageEncoder`.
        num_classes: number of classes.
        hidden: units of the layer between the features and the logits.
        dropout_rate: dropout of the features and of the hidden layer.

    Returns:
        float32 (batch, height, width, channels) "image", from 0 to 255 -> float32 (batch, num_classes) logits.

    Raises:
        ValueError: an argument is out of range.
    """
    encode = ImageEncoder(kind, image_shape, **encoder)
    seed = encode.seed + 1000
    image = image_input(encode)
    x = dropout(dropout_rate, seed, "dropout_features")(encode(image))
    x = dense(check_positive_integer("hidden", hidden), "hidden", seed + 1, activation="relu")(x)
    x = dropout(dropout_rate, seed + 2, "dropout_hidden")(x)
    logits = dense(check_positive_integer("num_classes", num_classes), "logits", seed + 3, dtype="float32")(x)
    return keras.Model(image, logits, name="image_classifier")
