"""Blocks of image models: encoders from pixels to a vector of features."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from tfpar import layers
from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.cells import find_layer

KINDS = ("cnn", "row_lstm", "cnn_lstm")


@dataclasses.dataclass(frozen=True)
class ImageEncoder:
    """Encoder of images to feature vectors.

    Attributes:
        kind: "cnn": convolutions; "row_lstm": a recurrent network over the rows of the image; "cnn_lstm": a recurrent
            network over the rows of the last feature map.
        image_shape: height, width and channels.
        mean, deviation: of the pixels, for their normalization.
        width: channels of the first stage; each further stage doubles them.
        stages: number of stages of convolutions; each halves height and width.
        cell: "lstm", "gru", "rnn", "module:Class" or a subclass of `tfpar.layers.RecurrentLayer`.
        units: of each recurrent layer and direction.
        recurrent_layers: number of stacked recurrent layers.
        bidirectional: run the recurrent layers in both directions.
        seed: of the initial weights and the dropout.
    """

    kind: str
    image_shape: tuple[int, int, int]
    mean: float = 0.0
    deviation: float = 255.0
    width: int = 32
    stages: int = 2
    cell: str | type[RecurrentLayer] = "lstm"
    units: int = 128
    recurrent_layers: int = 1
    bidirectional: bool = True
    seed: int = 0

    def __post_init__(self):
        check_one_of("kind", self.kind, KINDS)
        find_layer(self.cell)
        for name in ("width", "stages", "units", "recurrent_layers"):
            check_positive_integer(name, getattr(self, name))
        if self.kind != "row_lstm" and min(self.image_shape[:2]) < 2**self.stages:
            raise ValueError(
                f"`stages`={self.stages} halves the image {self.stages} times, so height and width must be at least "
                f"{2**self.stages} pixels; got {self.image_shape[0]} x {self.image_shape[1]}"
            )

    def __call__(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Encode float (batch, height, width, channels) from 0 to 255 to float (batch, features)."""
        x = keras.layers.Rescaling(1 / self.deviation, -self.mean / self.deviation, name="normalized")(images)
        if self.kind != "row_lstm":
            x = self._convolutions(x)
        if self.kind == "cnn":
            return keras.layers.Flatten(name="flat")(x)
        height, width, channels = x.shape[1:]
        return self._recurrent(keras.layers.Reshape((height, width * channels), name="rows")(x))

    def _convolutions(self, x):
        for stage in range(self.stages):
            for index in range(2):
                x = self._convolution(x, f"{stage}_{index}", self.width * 2**stage, self.seed + 10 * stage + index)
            x = keras.layers.MaxPooling2D(name=f"pool_{stage}")(x)
        return x

    def _convolution(self, x, name, channels, seed):
        # No batch normalization: each replica would normalize by the statistics of its own shard.
        convolution = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(seed),
            name=f"convolution_{name}",
        )
        return convolution(x)

    def _recurrent(self, x):
        for depth in range(self.recurrent_layers):
            x = self._recurrent_layer(f"recurrent_{depth}", self.seed + 100 * (depth + 1))(x)
        mean, largest = layers.MeanPooling(name="mean_pooling")(x), layers.MaxPooling(name="max_pooling")(x)
        return keras.layers.Concatenate(name="pooled")([mean, largest])

    def _recurrent_layer(self, name, seed):
        def one_direction(go_backwards, seed):
            layer: Callable[..., keras.layers.Layer] = find_layer(self.cell)
            return layer(
                self.units,
                kernel_initializer=keras.initializers.GlorotUniform(seed),
                recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 1),
                return_sequences=True,
                go_backwards=go_backwards,
                name=f"backward_{name}" if go_backwards else name,
            )

        forward = one_direction(False, seed)
        if not self.bidirectional:
            return forward
        return layers.Bidirectional(forward, backward_layer=one_direction(True, seed + 2), name=name)


def image_input(encoder: ImageEncoder) -> keras.KerasTensor:
    """Make the input of a model: float32 (batch, height, width, channels) "image", from 0 to 255."""
    return keras.Input(encoder.image_shape, dtype="float32", name="image")


def dense(units: int, name: str, seed: int, **kwargs: Any) -> keras.layers.Dense:
    """Make a dense layer whose initial weights have their own seed."""
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed), name=name, **kwargs)


def dropout(rate: float, seed: int, name: str) -> layers.Dropout:
    """Make a dropout layer for features."""
    return layers.Dropout(check_fraction("dropout", rate), seed=seed, name=name)
