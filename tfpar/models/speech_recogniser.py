"""Recognisers of spoken words: waveform in, probabilities out, the front end inside."""

import keras

from tfpar import layers
from tfpar.checks import check_one_of, check_positive_integer
from tfpar.models.text_classifier import CELLS

MODELS = ("cnn", "lstm", "cnn_lstm")


def speech_recogniser(
    *,
    samples: int,
    num_classes: int,
    rate_hz: int = 8000,
    model: str = "cnn",
    cell: str = "lstm",
    width: int = 24,
    units: int = 96,
    dropout: float = 0.3,
    augment: bool = True,
    seed: int = 0,
) -> keras.Model:
    check_one_of("model", model, MODELS)
    check_one_of("cell", cell, tuple(CELLS))
    for name, value in (("samples", samples), ("num_classes", num_classes), ("width", width), ("units", units)):
        check_positive_integer(name, value)
    audio = keras.Input((samples,), dtype="float32", name="audio")
    x = layers.LogMelSpectrogram(rate_hz, name="log_mel")(audio)
    if augment:
        x = layers.SpectrogramAugmentation(seed=seed, name="augmentation")(x)
    init = _Seeds(seed)
    if model == "cnn":
        x = _conv_stack(x, width, init, full=True)
    else:
        x = _conv_stack(x, width, init, full=False) if model == "cnn_lstm" else _stacked(x, units, init)
        x = _bi(cell, units, init, "recurrent")(x)
    x = keras.layers.Concatenate(name="pooled")([layers.MaxPooling(name="max")(x), layers.MeanPooling(name="mean")(x)])
    x = layers.Dropout(dropout, seed=seed + 1, name="dropout")(x)
    x = keras.layers.Dense(num_classes, kernel_initializer=init(), dtype="float32", name="logits")(x)
    return keras.Model(audio, x)


class _Seeds:
    def __init__(self, seed):
        self.seed = 1000 * seed

    def __call__(self):
        self.seed += 1
        return keras.initializers.HeNormal(self.seed)


def _block(x, filters, kernel, strides, init, name):
    x = keras.layers.Conv2D(filters, kernel, strides, "same", use_bias=False, kernel_initializer=init(), name=name)(x)
    x = keras.layers.BatchNormalization(momentum=0.97, name=name + "_norm")(x)
    return keras.layers.ReLU(name=name + "_relu")(x)


def _conv_stack(x, width, init, full):
    frames, bands = x.shape[1:]
    x = keras.layers.Reshape((frames, bands, 1), name="image")(x)
    x = _block(x, width, (5, 5), (2, 2), init, "conv_0")
    x = _block(x, width, 3, 1, init, "conv_1")
    x = _block(x, 2 * width, 3, (2, 2), init, "conv_2")
    if full:
        x = _block(x, 2 * width, 3, 1, init, "conv_3")
        x = _block(x, 3 * width, 3, (2, 2), init, "conv_4")
    x = keras.layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="frames")(x)
    x = keras.layers.Conv1D(4 * width, 3 if full else 1, padding="same", use_bias=False, kernel_initializer=init(), name="conv_5")(x)
    x = keras.layers.BatchNormalization(momentum=0.97, name="conv_5_norm")(x)
    return keras.layers.ReLU(name="conv_5_relu")(x)


def _stacked(x, units, init):
    x = keras.layers.Reshape((x.shape[1] // 2, 2 * x.shape[2]), name="stacked")(x)
    x = keras.layers.Dense(units, use_bias=False, kernel_initializer=init(), name="projected")(x)
    x = keras.layers.BatchNormalization(momentum=0.97, name="norm")(x)
    return keras.layers.ReLU(name="relu")(x)


def _bi(cell, units, init, name):
    f = CELLS[cell](units, return_sequences=True, kernel_initializer=keras.initializers.GlorotUniform(init().seed), recurrent_initializer=keras.initializers.Orthogonal(seed=init().seed), name=name)
    b = CELLS[cell](units, return_sequences=True, kernel_initializer=keras.initializers.GlorotUniform(init().seed), recurrent_initializer=keras.initializers.Orthogonal(seed=init().seed), go_backwards=True, name="backward_" + name)
    return layers.Bidirectional(f, backward_layer=b, name=name)
