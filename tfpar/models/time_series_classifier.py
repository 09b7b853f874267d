"""Classifiers of time series, of three kinds.

- "lstm_fcn": three convolutions with mean pooling, beside a recurrent layer that reads one column after the other, each
  with all of its steps (Karim et al. 2018, LSTM fully convolutional networks, arXiv:1709.05206);
- "recurrent": recurrent layers over the steps with attention pooling;
- "conv_recurrent": convolutions that quarter the number of steps, below these layers.

>>> model = tfpar.models.time_series_classifier("recurrent", columns=3, num_outputs=2)
>>> tuple(model(np.ones((4, 7, 3), "float32")).shape)
(4, 2)
"""

from collections.abc import Sequence

import keras
from keras import ops

from tfpar import layers
from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.models.image_layers import dense
from tfpar.models.series_layers import SeriesInput, recurrent

KINDS = ("lstm_fcn", "recurrent", "conv_recurrent")
KERNEL_SIZES = (8, 5, 3)  # as in the paper
POOLINGS = ("attention", "last")


def time_series_classifier(
    kind: str = "lstm_fcn",
    *,
    columns: int,
    num_outputs: int,
    steps: int | None = None,
    mean: tuple[float, ...] | None = None,
    deviation: tuple[float, ...] | None = None,
    has_indicators: bool = False,
    difference_deviation: Sequence[float] | None = None,
    cell: str | type[RecurrentLayer] = "lstm",
    units: int = 64,
    recurrent_layers: int = 1,
    bidirectional: bool = True,
    pooling: str = "attention",
    width: int = 64,
    kernel_sizes: Sequence[int] = KERNEL_SIZES,
    dropout: float = 0.5,
    seed: int = 0,
) -> keras.Model:
    """Build a classifier of time series, or a regressor.

    Args:
        kind: one of `KINDS`, see the module.
        columns, steps, mean, deviation, has_indicators: see `tfpar.models.series_layers.SeriesInput`. "lstm_fcn"
            needs `steps`.
        num_outputs: number of classes or of target values.
        difference_deviation: deviation of the change of each standardized column from step to step. The network reads
            the changes, too, see `tfpar.layers.Differences`. None: it does not.
        cell, units: of each recurrent layer and direction; `cell` is one of `tfpar.models.CELLS`, "module:Class" or a
            subclass of `tfpar.layers.RecurrentLayer`.
        recurrent_layers: number of stacked recurrent layers; "lstm_fcn" has one.
        bidirectional: run the recurrent layers in both directions; "lstm_fcn" runs one.
        pooling: "recurrent", "conv_recurrent": "attention", or "last": the last output of the recurrent layers, which
            in one direction can be streamed.
        width: channels of the first convolution.
        kernel_sizes: steps that each of the three convolutions of "lstm_fcn" sees.
        dropout: of the pooled features of the recurrent layers.
        seed: of the initial weights and the dropout.

    Returns:
        float32 (batch, steps, columns) "series" -> float32 (batch, num_outputs) "logits".

    Raises:
        ValueError: an argument is out of range.
    """
    check_one_of("kind", kind, KINDS)
    check_one_of("pooling", pooling, POOLINGS)
    sizes = {"num_outputs": num_outputs, "units": units, "width": width, "recurrent_layers": recurrent_layers}
    for name, value in sizes.items():
        check_positive_integer(name, value)
    if len(kernel_sizes) != len(KERNEL_SIZES):
        raise ValueError(f"`kernel_sizes` must be {len(KERNEL_SIZES)} numbers; got {kernel_sizes!r}.")
    for size in kernel_sizes:
        check_positive_integer("kernel_sizes", size)
    check_fraction("dropout", dropout)
    if kind == "lstm_fcn" and steps is None:
        raise ValueError(f"`steps` must be given for kind={kind!r}, which reads all steps at once.")
    series, x = SeriesInput(columns, steps, mean, deviation, has_indicators).make()
    if difference_deviation is not None:
        if len(difference_deviation) != columns:
            raise ValueError(
                f"`difference_deviation` must have one number for each of the {columns} columns; got "
                f"{difference_deviation!r}."
            )
        x = layers.Differences(difference_deviation, has_indicators, dtype="float32", name="differences")(x)
    if kind == "lstm_fcn":
        x = _lstm_fcn(x, cell, units, width, kernel_sizes, dropout, seed)
    else:
        x = _quartering_convolutions(x, width, seed) if kind == "conv_recurrent" else x
        x = _pooled_stack(x, cell, units, recurrent_layers, bidirectional, pooling, dropout, seed)
    logits = dense(num_outputs, "logits", seed + 2, dtype="float32")(x)
    return keras.Model(series, logits, name="time_series_classifier")


def _lstm_fcn(x, cell, units, width, kernel_sizes, dropout, seed):
    convolved = x
    for index, (filters, size) in enumerate(zip((width, 2 * width, width), kernel_sizes, strict=True)):
        convolved = layers.MaskedConvolution(
            filters, size, normalization="batch", seed=seed + 100 + index, name=f"convolution_{index}"
        )(convolved)
    pooled = layers.MeanPooling(name="mean_pooling")(convolved)
    by_column = ops.transpose(x, (0, 2, 1))
    read = recurrent(cell, units, "recurrent", seed + 10, return_sequences=False)(by_column)
    read = layers.Dropout(dropout, seed=seed + 1, name="dropout")(read)
    return keras.layers.Concatenate(name="features")([pooled, read])


def _pooled_stack(x, cell, units, recurrent_layers, bidirectional, pooling, dropout, seed):
    for depth in range(recurrent_layers):
        returns_sequences = pooling == "attention" or depth < recurrent_layers - 1
        name, layer_seed = f"recurrent_{depth}", seed + 10 * (depth + 1)
        x = recurrent(cell, units, name, layer_seed, bidirectional, return_sequences=returns_sequences)(x)
    if pooling == "attention":
        x = layers.AttentionPooling(units, name="attention_pooling")(x)
    return layers.Dropout(dropout, seed=seed + 1, name="dropout")(x)


def _quartering_convolutions(x, width, seed):
    for index, filters in enumerate((width, 2 * width)):
        x = layers.MaskedConvolution(filters, 5, strides=2, seed=seed + 100 + index, name=f"convolution_{index}")(x)
    return x
