"""Models whose errors are anomaly scores: a sequence autoencoder, and a forecaster of the next step.

>>> model = tfpar.models.anomaly_autoencoder(columns=2, steps=8, units=4)
>>> tuple(model(np.ones((3, 8, 2), "float32")).shape)
(3, 8, 2)
"""

from collections.abc import Sequence

import keras
from keras import ops

from tfpar import layers
from tfpar.checks import check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.models.forecast_network import SegmentQueries
from tfpar.models.image_layers import dense
from tfpar.models.series_layers import SeriesInput, fill, recurrent
from tfpar.models.window_scaling import WindowRescaling

KINDS = ("autoencoder", "residual")


def anomaly_autoencoder(
    kind: str = "autoencoder",
    *,
    columns: int,
    steps: int | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    has_indicators: bool = False,
    cell: str | type[RecurrentLayer] = "lstm",
    units: int = 32,
    seed: int = 0,
) -> keras.Model:
    """Build a model of normal series: what it estimates badly is an anomaly.

    Args:
        kind: "autoencoder": an encoder whose last state is all that the decoder of the window sees; "residual": a
            recurrent layer that forecasts the next step at each step, and can be streamed.
        columns, steps, mean, deviation, has_indicators: see `tfpar.models.series_layers.SeriesInput`. "autoencoder"
            needs `steps`.
        cell: one of `tfpar.models.CELLS`, "module:Class" or a subclass of `tfpar.layers.RecurrentLayer`.
        units: of the recurrent layers.
        seed: of the initial weights.

    Returns:
        float32 (batch, steps, columns) "series" -> float32 (batch, steps, columns) "reconstruction", in the units of
        the input, or "forecast", whose step t is the estimate of step t + 1.

    Raises:
        ValueError: an argument is out of range.

    References:
        Malhotra et al. 2016, LSTM-based encoder-decoder for multi-sensor anomaly detection, arXiv:1607.00148. Hundman
        et al. 2018, Detecting spacecraft anomalies using LSTMs and nonparametric dynamic thresholding,
        arXiv:1802.04431.
    """
    check_one_of("kind", kind, KINDS)
    check_positive_integer("units", units)
    mean, deviation = fill(mean, 0.0, columns), fill(deviation, 1.0, columns)
    series, x = SeriesInput(columns, steps, mean, deviation, has_indicators).make()
    if kind == "autoencoder":
        if steps is None:
            raise ValueError("`steps` must be given for kind='autoencoder', which decodes windows of one length.")
        encoded = recurrent(cell, units, "encoder", seed + 10, return_sequences=False)(x)
        repeated = ops.tile(encoded[:, None], (1, steps, 1))
        queries = SegmentQueries(1, steps, units, seed + 1, name="queries")(encoded)
        decoded = recurrent(cell, units, "decoder", seed + 20)(ops.concatenate([repeated, queries], axis=-1))
        estimate = dense(columns, "output", seed + 3, dtype="float32")(decoded)
    else:
        encoded = recurrent(cell, units, "recurrent", seed + 10)(x)
        # The last value is a good forecast of the next one, so the network learns the difference.
        difference = dense(columns, "output", seed + 3, dtype="float32")(encoded)
        estimate = WindowRescaling(dtype="float32", name="window_rescaling")(difference, x[..., :columns])
    name = "reconstruction" if kind == "autoencoder" else "forecast"
    estimate = layers.Unstandardization(mean, deviation, dtype="float32", name=name)(estimate)
    return keras.Model(series, estimate, name="anomaly_autoencoder")
