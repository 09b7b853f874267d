"""`AncestralSampling`: quantiles of sample paths of an autoregressive network."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpar.layers.argument_types import Shape
from tfpar.layers.call_context import is_exporting
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.models.distributions import Distribution


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
        level, scale, fixed = (self._repeat(one) for one in (level, scale, fixed))
        known = None if known is None else self._repeat(known)
        noise = tf.constant(self.noise)
        paths = tf.zeros_like(level) + tf.zeros((1, self.horizon))
        observed = tf.ones_like(level) if last_observed is None else self._repeat(last_observed)
        variables = (tf.constant(0), self._repeat(last), observed, paths, *map(self._repeat, states))

        def step(index, last, observed, paths, *states):
            one = tf.tile(tf.gather(noise, index), (tf.shape(last)[0] // self.samples, 1))
            features = [last[:, -1:], *([] if last_observed is None else [observed])]
            features += [last[:, :1]] if self.has_lag else []
            features += [fixed, *([] if known is None else [tf.gather(known, index, axis=1)])]
            value, states = self._draw(tf.concat(features, axis=1), states, level, scale, one)
            last = tf.concat([last[:, 1:], (value - level) / scale], axis=1)
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
            high, fraction = min(low + 1, self.samples - 1), position - low
            found.append((1 - fraction) * descending[..., low] + fraction * descending[..., high])
        return tf.stack(found, axis=-1)

    def compute_output_shape(self, states_shape: Any, last_shape: Shape, *_: Any, **__: Any) -> Shape:
        return last_shape[0], self.horizon, len(self.quantiles)
