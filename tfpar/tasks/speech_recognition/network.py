"""Speech recognizers from waveforms to logits, with the front end inside."""

import dataclasses
from collections.abc import Callable

import keras

from tfpar import layers
from tfpar.checks import check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.cells import find_layer
from tfpar.tasks.speech_recognition.spectrogram_augmentation import SpectrogramAugmentation

MODELS = ("cnn", "lstm", "cnn_lstm")

# Moving statistics of a few dozen batches: they have to follow weights that move fast, and are averaged themselves.
_MOMENTUM = 0.97
_STREAM_HOP_S = {"lstm": 0.02, "cnn_lstm": 0.01}  # samples of a frame, which do not overlap, in seconds
_STREAM_STRIDES = (2, 1, 2)  # of the convolutions of a stream


def stream_frame_samples(model: str, rate_hz: int) -> int:
    """Return the samples of each frame that a streaming recognizer takes."""
    return round(_STREAM_HOP_S[model] * rate_hz)


@dataclasses.dataclass
class _Builder:
    """Settings that the layers of `speech_recognizer` share; each initial weight has its own seed."""

    cell: type[RecurrentLayer]
    width: int
    units: int
    augment: bool
    strings: bool
    seed: int
    drawn: int = 0

    def next_seed(self):
        self.drawn += 1
        return 1000 * self.seed + self.drawn

    def distorted(self, x):
        if not self.augment:
            return x
        # Of a word a part may be missing; of a string that would be a word.
        gentle = {"time_warp": 0.0, "time_mask": 0.03} if self.strings else {}
        return SpectrogramAugmentation(seed=self.next_seed(), name="augmentation", **gentle)(x)

    def normalize_and_activate(self, layer, x):
        """Apply a layer without a bias, batch normalization, which an export folds into it, and ReLU."""
        x = layer(x)
        x = keras.layers.BatchNormalization(momentum=_MOMENTUM, name=f"{layer.name}_norm")(x)
        return keras.layers.ReLU(name=f"{layer.name}_relu")(x)

    def weights(self):
        return {"use_bias": False, "kernel_initializer": keras.initializers.HeNormal(self.next_seed())}

    def conv(self, x, number, filters, strides, kernel=3):
        layer = keras.layers.Conv2D(filters, kernel, strides, "same", **self.weights(), name=f"conv_{number}")
        return self.normalize_and_activate(layer, x)

    def causal_conv(self, x, number, strides):
        layer = keras.layers.Conv1D(
            4 * self.width, 3, strides, "causal", **self.weights(), name=f"causal_conv_{number}"
        )
        return self.normalize_and_activate(layer, x)

    def conv_in_time(self, x, filters, kernel):
        x = keras.layers.Reshape((-1, x.shape[2] * x.shape[3]), name="frames")(x)
        layer = keras.layers.Conv1D(filters, kernel, padding="same", **self.weights(), name="conv_in_time")
        return self.normalize_and_activate(layer, x)

    def projected(self, x):
        return self.normalize_and_activate(keras.layers.Dense(self.units, **self.weights(), name="projected"), x)

    def recurrent(self, name, return_sequences=True, go_backwards=False):
        layer: Callable[..., keras.layers.Layer] = self.cell
        return layer(
            self.units,
            kernel_initializer=keras.initializers.GlorotUniform(self.next_seed()),
            recurrent_initializer=keras.initializers.Orthogonal(seed=self.next_seed()),
            return_sequences=return_sequences,
            go_backwards=go_backwards,
            name=name,
        )

    def bidirectional(self, x, name):
        backward = self.recurrent(f"backward_{name}", go_backwards=True)
        return layers.Bidirectional(self.recurrent(name), backward_layer=backward, name=name)(x)


def speech_recognizer(
    *,
    samples: int | None,
    num_classes: int,
    rate_hz: int = 8000,
    model: str = "cnn",
    cell: str | type[RecurrentLayer] = "lstm",
    strings: bool = False,
    streaming: bool = False,
    width: int = 16,
    units: int = 64,
    dropout: float = 0.3,
    augment: bool = True,
    seed: int = 0,
) -> keras.Model:
    """Build a recognizer with its front end: log-mel frames of 10 ms, distorted in training.

    - "cnn": convolutions over time and frequency, then over time.
    - "lstm": pairs of frames into a recurrent layer that runs in both directions.
    - "cnn_lstm": a few convolutions below such a layer.

    A word's frames are pooled, by maximum and mean. A string keeps its steps, of 20 or 40 ms, for CTC.

    With `streaming` all layers are causal, and the output is the one after the last frame: "lstm" is two recurrent
    layers on frames of 20 ms that do not overlap, "cnn_lstm" convolutions over time below one, on frames of 30 ms each
    10 ms, of which a step takes four. Export it with `tfpar.export.tflite(streaming=True)`.

    Args:
        samples: of each clip; None: any number, the same in a batch, for strings. A multiple of 20 ms for "lstm".
        num_classes: words; of strings, symbols without the blank.
        rate_hz: of the clips.
        model: one of `MODELS`.
        cell: of the recurrent layers: one of `tfpar.models.CELLS`, "module:Class" or a subclass of
            `tfpar.layers.RecurrentLayer`.
        strings: output at each step, for CTC.
        streaming: take frames one by one.
        width: channels of the first convolutions.
        units: of each recurrent layer and direction.
        dropout: of the features before the output.
        augment: distort spectrograms in training.
        seed: of initial weights, dropout and distortions.

    Returns:
        float32 "audio" (batch, samples), streaming (batch, frames, `stream_frame_samples`) -> float32 "logits" (batch,
        num_classes), of strings (batch, steps, num_classes + 1); class 0 is then the blank.

    Raises:
        ValueError: an argument is out of range, or `strings` with `streaming`.
    """
    for name, value in (("num_classes", num_classes), ("width", width), ("units", units)):
        check_positive_integer(name, value)
    _check_kind(model, samples, strings, streaming)
    builder = _Builder(find_layer(cell), width, units, augment, strings, seed)
    if streaming:
        audio = keras.Input((None, stream_frame_samples(model, rate_hz)), dtype="float32", name="audio")
        x = _build_streaming(builder, audio, rate_hz, model)
    else:
        audio = keras.Input((samples,), dtype="float32", name="audio")
        x = _build_whole(builder, audio, rate_hz, model, strings)
    return keras.Model(audio, _add_logits(builder, x, num_classes + strings, dropout), name="speech")


def _add_logits(builder, x, classes, dropout):
    x = layers.Dropout(dropout, seed=builder.next_seed(), name="dropout")(x)
    initializer = keras.initializers.GlorotUniform(builder.next_seed())
    return keras.layers.Dense(classes, kernel_initializer=initializer, dtype="float32", name="logits")(x)


def _check_kind(model, samples, strings, streaming):
    check_one_of("model", model, MODELS)
    if samples is not None:
        check_positive_integer("samples", samples)
    elif not strings:
        raise ValueError("`samples` must be given unless `strings`; got None")
    if streaming and (model not in _STREAM_HOP_S or strings):
        raise ValueError(
            f"`streaming` takes single words and model='lstm' or 'cnn_lstm'; got strings={strings}, model={model!r}: "
            "the others see what is still to come"
        )


def _build_streaming(builder, audio, rate_hz, model):
    """Return the state after the last frame: float (batch, units)."""
    is_lstm = model == "lstm"
    front_end = layers.LogMelSpectrogram(
        rate_hz,
        audio.shape[-1],
        hops_per_frame=1 if is_lstm else 3,
        bands=32 if is_lstm else 40,
        normalization="none",
        padding="causal",
        name="log_mel",
    )
    x = builder.distorted(front_end(audio))
    if is_lstm:
        x = builder.recurrent("recurrent_0")(builder.projected(x))
        return builder.recurrent("recurrent_1", return_sequences=False)(x)
    for number, strides in enumerate(_STREAM_STRIDES):
        x = builder.causal_conv(x, number, strides)
    return builder.recurrent("recurrent", return_sequences=False)(x)


def _build_whole(builder, audio, rate_hz, model, strings):
    """Return float (batch, features); of strings (batch, steps, features)."""
    x = layers.LogMelSpectrogram(rate_hz, rate_hz // 100, name="log_mel")(audio)
    x = builder.distorted(x)
    if model == "lstm":
        whole = x if x.shape[1] is None else x[:, : x.shape[1] // 2 * 2]
        x = keras.layers.Reshape((-1, 2 * x.shape[2]), name="pairs")(whole)
        x = builder.projected(x)
    else:
        x = _convolutions(builder, x, deep=model == "cnn", fine=strings)
    if model != "cnn":
        x = builder.bidirectional(x, "recurrent")
    if strings:
        return x
    pooled = [layers.MaxPooling(name="max_pooling")(x), layers.MeanPooling(name="mean_pooling")(x)]
    return keras.layers.Concatenate(name="pooled")(pooled)


def _convolutions(builder, x, deep, fine):
    """Return float (batch, steps, features); a step is 80 ms if `deep`, 40 ms otherwise or if `fine`."""
    width = builder.width
    x = keras.layers.Reshape((-1, x.shape[2], 1), name="image")(x)
    x = builder.conv(x, 0, width, 2, kernel=5)
    x = builder.conv(x, 1, width, 1)
    x = builder.conv(x, 2, 2 * width, 2)
    if deep:
        x = builder.conv(x, 3, 2 * width, 1)
        x = builder.conv(x, 4, 3 * width, (1, 2) if fine else 2)
    return builder.conv_in_time(x, 4 * width, 3 if deep else 1)
