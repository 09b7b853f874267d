"""DeepAR: an autoregressive recurrent network whose outputs are the parameters of a distribution.

Step t gets the value of step t-1, that of one season before, the columns that are known for step t, and the embedding
of the target; all targets share the network. Training maximizes the likelihood of each step after the true values. The
forecaster draws sample paths, each step after the samples before, from random numbers that are constants of the model,
so that a file computes the same quantiles each time.

References:
    Salinas, Flunkert, Gasthaus & Januschowski 2020, DeepAR: probabilistic forecasting with autoregressive recurrent
    networks, arXiv:1704.04110.

>>> model = tfpar.models.deep_ar(input_length=12, horizon=6, targets=2, units=4)
>>> tuple(model.forecaster(np.ones((3, 12, 2), "float32")).shape)
(3, 6, 2, 3)
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from tfpar import layers
from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.models.ancestral_sampling import AncestralSampling
from tfpar.models.distributions import DISTRIBUTIONS, Distribution
from tfpar.models.forecast_network import SegmentQueries
from tfpar.models.image_layers import dense
from tfpar.models.series_layers import SeriesInput, fill, recurrent
from tfpar.models.window_scaling import COUNTS, SCALINGS, WindowScaling

NEGATIVE_BINOMIAL = "negative_binomial"
_EMBEDDING = 8


class DeepAR(NamedTuple):
    """Two models with the same weights.

    Attributes:
        trainer: float32 (batch, input_length + horizon, columns) "series", with the true values, -> float32 (batch,
            input_length + horizon - 1, targets, parameters) "parameters" of the distributions of all steps but the
            first: of standardized values, or of counts.
        forecaster: float32 (batch, steps, columns) "series" -> float32 (batch, horizon, targets, quantiles)
            "quantiles", as of `tfpar.models.forecaster`.
    """

    trainer: keras.Model
    forecaster: keras.Model


def deep_ar(
    *,
    input_length: int,
    horizon: int,
    targets: int,
    past: int = 0,
    known: int = 0,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    has_indicators: bool = False,
    scaling: str = "window",
    distribution: str = "student_t",
    season: int = 1,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    samples: int = 100,
    cell: str | type[RecurrentLayer] = "lstm",
    units: int = 64,
    dropout: float = 0.1,
    seed: int = 0,
) -> DeepAR:
    """Build DeepAR.

    Args:
        input_length, horizon, targets, past, known, mean, deviation, has_indicators: see `tfpar.models.forecaster`; the
            past columns are not used.
        scaling: "global"; "window": targets are relative to mean and deviation of the window; "series": to those of
            the series, see `tfpar.models.forecaster`. Counts are divided by the mean of the window plus 1.
        distribution: a key of `tfpar.models.distributions.DISTRIBUTIONS`; "negative_binomial" is for counts.
        season: steps of a season that is at most `input_length`; 1: none.
        quantiles: ascending levels of the quantiles to forecast.
        samples: number of sample paths of each forecast.
        cell, units, dropout, seed: see `tfpar.models.forecaster`.

    Raises:
        ValueError: an argument is out of range.
    """
    sizes = {"input_length": input_length, "horizon": horizon, "targets": targets, "units": units, "samples": samples}
    _check(distribution, scaling, {**sizes, "season": season}, dropout)
    columns = targets + past + known
    mean, deviation = fill(mean, 0.0, columns), fill(deviation, 1.0, columns)
    if distribution == NEGATIVE_BINOMIAL:  # counts stay as they are
        mean, deviation = (0.0,) * targets + mean[targets:], (1.0,) * targets + deviation[targets:]
        scaling = COUNTS
    family = DISTRIBUTIONS[distribution]()
    rows = _Rows(input_length, targets, known, columns, has_indicators, season, seed)
    network = _make_network(rows, scaling, family, cell, units, dropout)
    with_statistics = targets if scaling == "series" else 0
    inputs = SeriesInput(columns, input_length + horizon, mean, deviation, has_indicators)
    series, x, statistics = inputs.make_with_statistics(with_statistics)
    trainer = keras.Model(series, network.parameters(x, statistics), name="deep_ar")
    steps = input_length + (horizon if known else 0)
    series, x, statistics = dataclasses.replace(inputs, steps=steps).make_with_statistics(with_statistics)
    sampling = AncestralSampling(
        network.recurrent, network.head, family, horizon, samples, quantiles, season > 1, seed, name="sampling"
    )
    undo = layers.Unstandardization(mean[:targets], deviation[:targets], dtype="float32", name="quantiles")
    return DeepAR(
        trainer, keras.Model(series, undo(network.quantiles(x, statistics, sampling)), name="deep_ar_forecaster")
    )


def _check(distribution, scaling, sizes, dropout):
    check_one_of("distribution", distribution, tuple(DISTRIBUTIONS))
    check_one_of("scaling", scaling, SCALINGS)
    for name, value in sizes.items():
        check_positive_integer(name, value)
    check_fraction("dropout", dropout)
    input_length, season = sizes["input_length"], sizes["season"]
    if input_length < 2 or season > input_length:
        raise ValueError(
            f"`input_length` must be at least 2 and at least `season`; got {input_length} and season={season}."
        )


class _Network(NamedTuple):
    """Layers that the two models share."""

    rows: "_Rows"
    window: WindowScaling
    recurrent: Any
    dropout: keras.layers.Layer
    head: keras.layers.Layer
    family: Distribution

    def parameters(self, x: Any, statistics: Any) -> Any:
        """Return the parameters of all steps but the first, from standardized values (batch, steps, columns)."""
        features = self.rows.make_features(x, statistics, self.window)
        encoded, *_ = self.recurrent(features.steps)
        outputs = self.head(ops.concatenate([self.dropout(encoded), features.steps], axis=-1))
        center = features.level + features.scale * features.steps[..., 0]
        parameters = ops.stack(self.family.constrain(outputs, center, features.scale), axis=-1)
        return keras.layers.Identity(name="parameters")(self.rows.split_targets(parameters))

    def quantiles(self, x: Any, statistics: Any, sampling: AncestralSampling) -> Any:
        """Return standardized quantiles (batch, horizon, targets, quantiles)."""
        rows, known = self.rows, None
        features = rows.make_features(x[:, : rows.input_length], statistics, self.window)
        _, *states = self.recurrent(features.steps)
        if rows.known:
            known = rows.repeat_targets(x[:, rows.input_length :, rows.columns - rows.known : rows.columns])
        _, *others = features
        return rows.split_targets(sampling(states, *others, known))


def _make_network(rows, scaling, family, cell, units, dropout) -> _Network:
    return _Network(
        rows=rows,
        window=WindowScaling(scaling, "mean", dtype="float32", name="window_scaling"),
        recurrent=recurrent(cell, units, "recurrent", rows.seed + 10, return_state=True),
        dropout=layers.Dropout(dropout, seed=rows.seed + 2, name="dropout"),
        head=dense(family.size, "output", rows.seed + 3, dtype="float32"),
        family=family,
    )


class _Features(NamedTuple):
    """Features of the rows of a batch; a row is one target of one window.

    Attributes:
        steps: float (rows, steps - 1, features) of all steps but the first; the first feature is the value before.
        last: float (rows, season), the last relative values.
        last_observed: float (rows, 1), the indicator of the last value; None: there are no indicators.
        level, scale: float (rows, 1).
        fixed: float (rows, features) that are equal in all steps.
    """

    steps: Any
    last: Any
    last_observed: Any
    level: Any
    scale: Any
    fixed: Any


class _Rows(NamedTuple):
    """Columns of the input, and how they become features."""

    input_length: int
    targets: int
    known: int
    columns: int
    has_indicators: bool
    season: int
    seed: int

    def make_features(self, x: Any, statistics: Any, window: WindowScaling) -> _Features:
        """Make features of standardized values (batch, steps, columns) and, or None, the statistics of the series."""
        values = x[..., : self.targets]
        observed = x[..., self.columns : self.columns + self.targets] if self.has_indicators else None
        seen = None if observed is None else observed[:, : self.input_length]
        _, level, scale = window(values[:, : self.input_length], seen, statistics)
        relative = (values - level) / scale
        if observed is not None:
            relative, observed = relative * observed, self.to_rows(observed)
        level, scale = (ops.reshape(one, (-1, 1)) for one in (level, scale))
        relative = self.to_rows(relative)
        fixed = [ops.log(scale)]
        if self.targets > 1:
            queries = SegmentQueries(self.targets, 1, _EMBEDDING, self.seed + 1, name="targets")
            fixed.append(ops.reshape(queries(values), (-1, _EMBEDDING)))
        fixed = ops.concatenate(fixed, axis=-1)
        steps = [relative[:, :-1, None]]
        if observed is not None:
            steps.append(observed[:, :-1, None])
        if self.season > 1:
            steps.append(ops.pad(relative[:, : -self.season], [[0, 0], [self.season - 1, 0]])[..., None])
        steps.append(ops.tile(fixed[:, None], (1, relative.shape[1] - 1, 1)))
        if self.known:
            steps.append(self.repeat_targets(x[:, 1:, self.columns - self.known : self.columns]))
        steps = ops.concatenate(steps, axis=-1)
        last_observed = None if observed is None else observed[:, -1:]
        return _Features(steps, relative[:, -self.season :], last_observed, level, scale, fixed)

    def to_rows(self, values: Any) -> Any:
        """Return values (batch, steps, targets) as (batch * targets, steps)."""
        return ops.reshape(ops.transpose(values, (0, 2, 1)), (-1, values.shape[1]))

    def repeat_targets(self, known: Any) -> Any:
        """Repeat columns (batch, steps, known) for each target: (batch * targets, steps, known)."""
        repeated = ops.tile(known[:, None], (1, self.targets, 1, 1))
        return ops.reshape(repeated, (-1, known.shape[1], self.known))

    def split_targets(self, values: Any) -> Any:
        """Return values (batch * targets, steps, size) as (batch, steps, targets, size)."""
        by_target = ops.reshape(values, (-1, self.targets, *values.shape[1:]))
        return ops.transpose(by_target, (0, 2, 1, 3))
