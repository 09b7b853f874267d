"""DeepAR: an autoregressive recurrent network whose outputs are the parameters of a distribution.

Step t gets the value of step t-1, that of one season before, the columns that are known for step t, and the embedding
of the target; all targets share the network. Training maximizes the likelihood of each step after the true values. The
forecaster draws sample paths, each step after the samples before, from random numbers that are constants of the model,
so that a file computes the same quantiles each time.

References:
    Salinas, Flunkert, Gasthaus & Januschowski 2020, DeepAR: probabilistic forecasting with autoregressive recurrent
    networks, arXiv:1704.04110.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfpar import layers
from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.layers.argument_types import Shape
from tfpar.layers.call_context import is_exporting
from tfpar.layers.recurrent.base import RecurrentLayer
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
        scaling: "global", or "window": targets are relative to mean and deviation of the window. Counts are divided by
            the mean of the window plus 1.
        distribution: a key of `tfpar.models.distributions.DISTRIBUTIONS`; "negative_binomial" is for counts.
        season: steps of a season that is at most `input_length`; 1: none.
        quantiles: ascending levels of the quantiles to forecast.
        samples: number of sample paths of each forecast.
        cell, units, dropout, seed: see `tfpar.models.forecaster`.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> model = tfpar.models.deep_ar(input_length=12, horizon=6, targets=2, units=4)
    >>> tuple(model.forecaster(np.ones((3, 12, 2), "float32")).shape)
    (3, 6, 2, 3)
    """
    check_one_of("distribution", distribution, tuple(DISTRIBUTIONS))
    check_one_of("scaling", scaling, SCALINGS)
    sizes = {"input_length": input_length, "horizon": horizon, "targets": targets, "units": units, "samples": samples}
    for name, value in {**sizes, "season": season}.items():
        check_positive_integer(name, value)
    check_fraction("dropout", dropout)
    if input_length < 2 or season > input_length:
        raise ValueError(
            f"`input_length` must be at least 2 and at least `season`; got {input_length} and season={season}."
        )
    columns = targets + past + known
    mean, deviation = fill(mean, 0.0, columns), fill(deviation, 1.0, columns)
    if distribution == NEGATIVE_BINOMIAL:  # counts stay as they are
        mean, deviation = (0.0,) * targets + mean[targets:], (1.0,) * targets + deviation[targets:]
        scaling = COUNTS
    family = DISTRIBUTIONS[distribution]()
    rows = _Rows(input_length, targets, known, columns, has_indicators, season, seed)
    window = WindowScaling(scaling, "mean", dtype="float32", name="window_scaling")
    layer = recurrent(cell, units, "recurrent", seed + 10, return_state=True)
    head = dense(family.size, "output", seed + 3, dtype="float32")
    drop = layers.Dropout(dropout, seed=seed + 2, name="dropout")

    series, x = SeriesInput(columns, input_length + horizon, mean, deviation, has_indicators).make()
    features = rows.make_features(x, window)
    outputs = head(ops.concatenate([drop(layer(features.steps)[0]), features.steps], axis=-1))
    center = features.level + features.scale * features.steps[..., 0]
    parameters = ops.stack(family.constrain(outputs, center, features.scale), axis=-1)
    parameters = rows.split_targets(parameters, input_length + horizon - 1)
    trainer = keras.Model(series, keras.layers.Identity(name="parameters")(parameters), name="deep_ar")

    steps = input_length + (horizon if known else 0)
    series, x = SeriesInput(columns, steps, mean, deviation, has_indicators).make()
    features = rows.make_features(x[:, :input_length], window)
    _, *states = layer(features.steps)
    sampler = AncestralSampling(
        layer, head, family, horizon, samples, quantiles, features.has_lag, seed, name="sampling"
    )
    ahead = rows.repeat_targets(x[:, input_length:, columns - known : columns]) if known else None
    found = sampler(states, *features[1:6], ahead)
    values = ops.transpose(ops.reshape(found, (-1, targets, horizon, len(quantiles))), (0, 2, 1, 3))
    undo = layers.Unstandardization(mean[:targets], deviation[:targets], dtype="float32", name="quantiles")
    return DeepAR(trainer, keras.Model(series, undo(values), name="deep_ar_forecaster"))


class _Features(NamedTuple):
    """Features of the rows of a batch; a row is one target of one window.

    Attributes:
        steps: float (rows, steps - 1, features) of all steps but the first; the first feature is the value before.
        last: float (rows, season), the last relative values.
        last_observed: float (rows, 1), the indicator of the last value; None: there are no indicators.
        level, scale: float (rows, 1).
        fixed: float (rows, features) that are equal in all steps.
        has_lag: whether the value of one season before is a feature.
    """

    steps: Any
    last: Any
    last_observed: Any
    level: Any
    scale: Any
    fixed: Any
    has_lag: bool


class _Rows(NamedTuple):
    """Columns of the input, and how they become features."""

    input_length: int
    targets: int
    known: int
    columns: int
    has_indicators: bool
    season: int
    seed: int

    def make_features(self, x: Any, window: WindowScaling) -> _Features:
        """Make features of standardized values (batch, steps, columns)."""
        values = x[..., : self.targets]
        observed = x[..., self.columns : self.columns + self.targets] if self.has_indicators else None
        seen = None if observed is None else observed[:, : self.input_length]
        _, level, scale = window(values[:, : self.input_length], seen)
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
        return _Features(steps, relative[:, -self.season :], last_observed, level, scale, fixed, self.season > 1)

    def to_rows(self, values: Any) -> Any:
        """Return values (batch, steps, targets) as (batch * targets, steps)."""
        return ops.reshape(ops.transpose(values, (0, 2, 1)), (-1, values.shape[1]))

    def repeat_targets(self, known: Any) -> Any:
        """Repeat columns (batch, steps, known) for each target: (batch * targets, steps, known)."""
        repeated = ops.tile(known[:, None], (1, self.targets, 1, 1))
        return ops.reshape(repeated, (-1, known.shape[1], self.known))

    def split_targets(self, parameters: Any, steps: int) -> Any:
        """Return parameters (batch * targets, steps, size) as (batch, steps, targets, size)."""
        by_target = ops.reshape(parameters, (-1, self.targets, steps, parameters.shape[-1]))
        return ops.transpose(by_target, (0, 2, 1, 3))


class AncestralSampling(keras.layers.Layer):
    """Quantiles of sample paths that are drawn step by step, each step after the samples before.

    The random numbers are constants: for each step a Latin hypercube of `samples` points.

    Args:
        recurrent, head: layers of the trained network, with their weights.
        distribution: of the steps.
        horizon, samples: number of steps and of paths.
        quantiles: levels, ascending.
        has_lag: see `_Features`.
        seed: of the random numbers.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        states: of the recurrent layer after the last true value, float (rows, units) each.
        last, last_observed: float (rows, season), the last values, relative; float (rows, 1) or None, see `_Features`.
        level, scale: float (rows, 1).
        fixed: float (rows, features) that are equal in all steps.
        known: float (rows, horizon, known) or None.

    Returns:
        float (rows, horizon, quantiles).
    """

    def __init__(
        self,
        recurrent: RecurrentLayer,
        head: keras.layers.Layer,
        distribution: Distribution,
        horizon: int,
        samples: int,
        quantiles: Sequence[float],
        has_lag: bool,
        seed: int,
        **kwargs: Any,
    ):
        super().__init__(dtype="float32", **kwargs)
        self.recurrent, self.head, self.distribution = recurrent, head, distribution
        self.horizon, self.samples, self.quantiles = horizon, samples, tuple(quantiles)
        self.has_lag = has_lag
        generator = np.random.default_rng(seed)
        uniform = np.empty((horizon, samples, distribution.noises))
        for step, index in np.ndindex(horizon, distribution.noises):
            uniform[step, :, index] = (generator.permutation(samples) + 0.5) / samples
        self.noise = distribution.transform_uniform(uniform).reshape(horizon, samples, -1)
        self.built = True

    def call(
        self,
        states: list[tf.Tensor],
        last: tf.Tensor,
        last_observed: tf.Tensor | None,
        level: tf.Tensor,
        scale: tf.Tensor,
        fixed: tf.Tensor,
        known: tf.Tensor | None = None,
    ) -> tf.Tensor:
        repeated = [self._repeat(one) for one in (level, scale, fixed)]
        known = None if known is None else self._repeat(known)
        noise = tf.constant(self.noise)
        paths = tf.zeros_like(repeated[0]) + tf.zeros((1, self.horizon))
        observed = tf.ones_like(repeated[0]) if last_observed is None else self._repeat(last_observed)
        variables = (tf.constant(0), self._repeat(last), observed, paths, *map(self._repeat, states))

        def step(index, last, observed, paths, *states):
            one = tf.tile(tf.gather(noise, index), (tf.shape(last)[0] // self.samples, 1))
            features = [last[:, -1:], *([] if last_observed is None else [observed])]
            features += [last[:, :1]] if self.has_lag else []
            features += [repeated[2], *([] if known is None else [tf.gather(known, index, axis=1)])]
            value, states = self._draw(tf.concat(features, axis=1), states, *repeated[:2], one)
            last = tf.concat([last[:, 1:], (value - repeated[0]) / repeated[1]], axis=1)
            return index + 1, last, tf.ones_like(observed), tf.concat([paths[:, 1:], value], axis=1), *states

        if is_exporting("tflite_int8"):  # loops cannot be calibrated
            for _ in range(self.horizon):
                variables = step(*variables)
        else:
            variables = tf.while_loop(lambda index, *_: index < self.horizon, step, variables)
        return self._find_quantiles(variables[3])

    def _draw(self, features, states, level, scale, noise):
        """Draw the next value of each path, float (rows * samples, 1); return it and the new states."""
        output, *states = self.recurrent(features[:, None], initial_state=list(states))
        outputs = self.head(tf.concat([tf.reshape(output, (-1, self.recurrent.units)), features], axis=1))
        center = level[:, 0] + scale[:, 0] * features[:, 0]
        parameters = self.distribution.constrain(outputs, center, scale[:, 0])
        return self.distribution.sample(parameters, noise)[:, None], states

    def _repeat(self, tensor):
        """Repeat each row for each sample."""
        shape = tensor.shape[1:]
        repeated = tf.tile(tensor[:, None], (1, self.samples, *(1 for _ in shape)))
        return tf.reshape(repeated, (-1, *shape))

    def _find_quantiles(self, paths):
        """Interpolate the quantiles of the sorted samples linearly: (rows, horizon, quantiles)."""
        by_row = tf.transpose(tf.reshape(paths, (-1, self.samples, self.horizon)), (0, 2, 1))
        descending = tf.math.top_k(by_row, k=self.samples).values
        found = []
        for level in self.quantiles:
            position = (1 - level) * (self.samples - 1)
            low = int(position)
            high, part = min(low + 1, self.samples - 1), position - low
            found.append((1 - part) * descending[..., low] + part * descending[..., high])
        return tf.stack(found, axis=-1)

    def compute_output_shape(self, states_shape: Any, last_shape: Shape, *_: Any, **__: Any) -> Shape:
        return last_shape[0], self.horizon, len(self.quantiles)
