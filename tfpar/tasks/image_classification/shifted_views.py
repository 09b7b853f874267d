"""An image together with itself moved by half a pixel."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfpar")
class ShiftedViews(keras.layers.Layer):
    """Five views of each image: unchanged, and shifted by half a pixel down, up, right and left.

    A move by half a pixel is the mean of two neighbors; the pixels at the edge stand in for those beyond it.

    Call arguments:
        images: float (batch, height, width, channels).

    Returns:
        float (5 * batch, height, width, channels): all images as they are, then all moved down, and so on.
    """

    count = 5

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.built = True

    def call(self, images: Any) -> Any:
        down = ops.concatenate([images[:, :1], images[:, :-1]], axis=1)
        up = ops.concatenate([images[:, 1:], images[:, -1:]], axis=1)
        right = ops.concatenate([images[:, :, :1], images[:, :, :-1]], axis=2)
        left = ops.concatenate([images[:, :, 1:], images[:, :, -1:]], axis=2)
        return ops.concatenate([images, *((images + moved) / 2 for moved in (down, up, right, left))], axis=0)

    def compute_output_shape(self, images_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *image = images_shape
        return (batch and self.count * batch, *image)
