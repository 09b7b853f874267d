"""Cosines between embeddings and one direction for each class."""

from typing import Any

import keras
from keras import ops

from tfpar.checks import check_positive_integer


@keras.saving.register_keras_serializable(package="tfpar")
class CosineLogits(keras.layers.Layer):
    """cos(embedding, direction of class c), for all classes c; `MarginCrossentropy` trains on them.

    Args:
        num_classes: how many directions.
        seed: of the initial directions.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        embedding: float (batch, size), each of length 1.

    Returns:
        float (batch, num_classes), from -1 to 1.
    """

    def __init__(self, num_classes: int, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_classes = check_positive_integer("num_classes", num_classes)
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        initializer = keras.initializers.RandomNormal(seed=self.seed)
        self.directions = self.add_weight((input_shape[-1], self.num_classes), initializer, name="directions")
        self.built = True

    def call(self, embedding: Any) -> Any:
        return ops.matmul(embedding, ops.normalize(self.directions, axis=0))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "seed": self.seed}
