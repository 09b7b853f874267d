"""Distributions of forecasts: parameters from a network's outputs, likelihoods, samples from fixed random numbers."""

import abc
import math
import statistics
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from keras import ops

_SMALLEST_SPREAD = 1e-3  # relative to the scale
_COUNTED = 24  # terms of the Poisson distribution that are summed for small rates
_SMALL_RATE = 8.0

Parameters = Sequence[tf.Tensor]


class Distribution(abc.ABC):
    """Base class of distributions.

    Attributes:
        size: number of parameters.
        noises: number of uniform random numbers for each sample.
    """

    size: int
    noises: int

    @abc.abstractmethod
    def constrain(self, outputs: tf.Tensor, center: tf.Tensor, scale: tf.Tensor) -> list[tf.Tensor]:
        """Convert outputs of a network to parameters, float (...,) each.

        Args:
            outputs: float (..., size), without constraints.
            center: float (...,), to which the location is relative.
            scale: float (...,), unit of location and spread.
        """

    @abc.abstractmethod
    def negative_log_likelihood(self, values: tf.Tensor, parameters: Parameters) -> tf.Tensor:
        """Compute -log p(values), float (...,)."""

    @abc.abstractmethod
    def transform_uniform(self, uniform: np.ndarray) -> np.ndarray:
        """Convert uniform random numbers (..., noises) to those that `sample` takes, float32 (..., numbers)."""

    @abc.abstractmethod
    def sample(self, parameters: Parameters, noise: tf.Tensor) -> tf.Tensor:
        """Draw samples, float (...,), from what `transform_uniform` returns."""


class Gaussian(Distribution):
    """Normal distribution; parameters are mean and deviation."""

    size, noises = 2, 1

    def constrain(self, outputs: tf.Tensor, center: tf.Tensor, scale: tf.Tensor) -> list[tf.Tensor]:
        return [center + scale * outputs[..., 0], scale * _positive(outputs[..., 1])]

    def negative_log_likelihood(self, values: tf.Tensor, parameters: Parameters) -> tf.Tensor:
        mean, deviation = parameters
        z = (values - mean) / deviation
        return 0.5 * math.log(2 * math.pi) + ops.log(deviation) + 0.5 * ops.square(z)

    def transform_uniform(self, uniform: np.ndarray) -> np.ndarray:
        return _normal_quantiles(uniform)

    def sample(self, parameters: Parameters, noise: tf.Tensor) -> tf.Tensor:
        mean, deviation = parameters
        return mean + deviation * noise[..., 0]


class StudentT(Distribution):
    """Student's t distribution; parameters are location, scale and degrees of freedom, which are above 2.

    References:
        Bailey 1994, Polar generation of random variates with the t-distribution: the sampler, exact for any degrees of
        freedom.
    """

    size, noises = 3, 2

    def constrain(self, outputs: tf.Tensor, center: tf.Tensor, scale: tf.Tensor) -> list[tf.Tensor]:
        return [*Gaussian().constrain(outputs, center, scale), 2.0 + ops.softplus(outputs[..., 2])]

    def negative_log_likelihood(self, values: tf.Tensor, parameters: Parameters) -> tf.Tensor:
        location, scale, freedom = parameters
        z = (values - location) / scale
        half = (freedom + 1) / 2
        normalizer = tf.math.lgamma(freedom / 2) - tf.math.lgamma(half) + 0.5 * ops.log(math.pi * freedom)
        return normalizer + ops.log(scale) + half * ops.log1p(ops.square(z) / freedom)

    def transform_uniform(self, uniform: np.ndarray) -> np.ndarray:
        return np.stack([np.log(uniform[..., 0]), np.cos(2 * np.pi * uniform[..., 1])], axis=-1).astype(np.float32)

    def sample(self, parameters: Parameters, noise: tf.Tensor) -> tf.Tensor:
        location, scale, freedom = parameters
        radius = ops.sqrt(freedom * (ops.exp(-2 / freedom * noise[..., 0]) - 1))
        return location + scale * radius * noise[..., 1]


class NegativeBinomial(Distribution):
    """Negative binomial distribution of counts; parameters are the mean m and the dispersion a, variance m + a m^2.

    Samples are Poisson counts of gamma rates. Gamma quantiles are those of Wilson & Hilferty 1931, about 1 % off in
    probability; Poisson counts of rates above 8 are rounded normal ones.

    References:
        Salinas et al. 2020, DeepAR, arXiv:1704.04110, section 3.1.
    """

    size, noises = 2, 3

    def constrain(self, outputs: tf.Tensor, center: tf.Tensor, scale: tf.Tensor) -> list[tf.Tensor]:
        del center  # counts have no level
        return [scale * _positive(outputs[..., 0]), _positive(outputs[..., 1]) / ops.sqrt(scale)]

    def negative_log_likelihood(self, values: tf.Tensor, parameters: Parameters) -> tf.Tensor:
        mean, dispersion = parameters
        count = 1 / dispersion
        product = dispersion * mean
        combinations = tf.math.lgamma(values + count) - tf.math.lgamma(values + 1) - tf.math.lgamma(count)
        return count * ops.log1p(product) - values * (ops.log(product) - ops.log1p(product)) - combinations

    def transform_uniform(self, uniform: np.ndarray) -> np.ndarray:
        rate, boost, count = (uniform[..., index] for index in range(3))
        numbers = [_normal_quantiles(rate), np.log(boost), count, _normal_quantiles(count)]
        return np.stack(numbers, axis=-1).astype(np.float32)

    def sample(self, parameters: Parameters, noise: tf.Tensor) -> tf.Tensor:
        mean, dispersion = parameters
        # Gamma(k) = Gamma(k + 1) U^(1/k), so that the approximation is only needed for shapes above 1.
        shape = 1 / dispersion + 1
        root = 1 - 1 / (9 * shape) + noise[..., 0] / (3 * ops.sqrt(shape))
        gamma = shape * ops.power(ops.maximum(root, 0.0), 3.0) * ops.exp(dispersion * noise[..., 1])
        return _poisson(mean * dispersion * gamma, noise[..., 2], noise[..., 3])


DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "student_t": StudentT,
    "gaussian": Gaussian,
    "negative_binomial": NegativeBinomial,
}


def _positive(outputs):
    return ops.softplus(outputs) + _SMALLEST_SPREAD


def _normal_quantiles(uniform):
    normal = statistics.NormalDist()
    return np.vectorize(normal.inv_cdf, otypes=[np.float32])(uniform)


def _poisson(rate, uniform, z):
    """Return Poisson counts: the smallest ones whose cumulative probability exceeds `uniform`.

    Args:
        rate: float (...,).
        uniform: random numbers in (0, 1).
        z: their normal quantiles, for large rates, with the correction for skewness (Cornish & Fisher 1938).
    """
    small = ops.minimum(rate, _SMALL_RATE)
    term = ops.exp(-small)
    total, count = term, ops.zeros_like(small)
    for index in range(1, _COUNTED):
        count = count + ops.cast(uniform >= total, count.dtype)
        term = term * small / index
        total = total + term
    large = ops.round(rate + ops.sqrt(rate) * z + (ops.square(z) - 1) / 6)
    return ops.where(rate < _SMALL_RATE, count, ops.maximum(large, 0.0))
