"""DeepAR: likelihoods and samples against SciPy, and sample paths against the trained network."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfpar import models
from tfpar.models.distributions import DISTRIBUTIONS

SIZES = dict(input_length=12, horizon=5, targets=2, past=1, known=1, has_indicators=True, units=4, season=4, seed=3)
SCALES = dict(mean=(10.0, 20.0, 3.0, 4.0), deviation=(2.0, 3.0, 4.0, 5.0))
STEPS = 17


def make_series(counts=False):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(3, STEPS, 4)) * SCALES["deviation"] + SCALES["mean"]
    values = np.round(np.abs(values)) if counts else values
    observed = np.ones_like(values)
    observed[1, 2, 0] = observed[2, 11, 1] = 0  # within the history
    return np.concatenate([values * observed, observed], axis=-1).astype("float32")


def scipy_distribution(name, parameters):
    if name == "negative_binomial":
        mean, dispersion = parameters
        return scipy.stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
    location, scale, *freedom = parameters
    return scipy.stats.t(*freedom, location, scale) if freedom else scipy.stats.norm(location, scale)


CASES = [
    ("gaussian", (1.5, 0.7)),
    ("student_t", (1.5, 0.7, 3.3)),
    ("negative_binomial", (0.3, 0.5)),
    ("negative_binomial", (2.0, 3.0)),
    ("negative_binomial", (30.0, 0.4)),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_likelihoods_are_those_of_scipy(name, parameters):
    values = np.arange(0, 40, dtype="float32") / (1 if name == "negative_binomial" else 8)
    reference = scipy_distribution(name, parameters)
    expected = reference.logpmf(values) if name == "negative_binomial" else reference.logpdf(values)
    found = DISTRIBUTIONS[name]().negative_log_likelihood(values, [tf.fill(40, value) for value in parameters])
    np.testing.assert_allclose(found, -expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_samples_have_the_distribution_of_scipy(name, parameters):
    """The largest distance of the cumulative probabilities."""
    distribution, count = DISTRIBUTIONS[name](), 2000
    generator = np.random.default_rng(0)
    uniform = [(generator.permutation(count) + 0.5) / count for _ in range(distribution.noises)]
    noise = distribution.transform_uniform(np.stack(uniform, axis=-1)).reshape(count, -1)
    samples = np.sort(distribution.sample([tf.fill(count, value) for value in parameters], tf.constant(noise)))
    points = np.arange(samples.max() + 1) if name == "negative_binomial" else samples
    fractions = np.searchsorted(samples, points, side="right") / count
    np.testing.assert_allclose(fractions, scipy_distribution(name, parameters).cdf(points), atol=0.02)


@pytest.mark.parametrize("scaling", ["global", "window"])
def test_a_path_is_that_of_the_trained_network(scaling):
    """One sample of a normal distribution is its mean, so a path continues itself by the means of the trainer."""
    deep_ar = models.deep_ar(**SIZES, **SCALES, scaling=scaling, distribution="gaussian", samples=1)
    series = make_series()
    path = deep_ar.forecaster(series).numpy()[..., 1]
    assert path.shape == (3, 5, 2)
    continued = series.copy()
    continued[:, 12:, :2] = path
    means = deep_ar.trainer(continued).numpy()[..., 0]
    standardized = (path - SCALES["mean"][:2]) / SCALES["deviation"][:2]
    np.testing.assert_allclose(means[:, -5:], standardized, atol=1e-5)
    other = series.copy()
    other[:, 12:, :3] = 99  # values of the future, and past columns
    np.testing.assert_array_equal(deep_ar.forecaster(other)[..., 1], path)
    other[:, 12:, 3] = 99  # a column that is known ahead
    assert np.abs(deep_ar.forecaster(other)[..., 1] - path).max() > 1e-4


def test_quantiles_are_those_of_numpy():
    """Of the paths, by the model with as many levels as samples."""
    options = {**SIZES, **SCALES, "samples": 20}
    series = make_series()
    every = models.deep_ar(**options, quantiles=np.linspace(0, 1, 20))
    some = models.deep_ar(**options, quantiles=(0.1, 0.5, 0.9))
    some.trainer.set_weights(every.trainer.get_weights())
    expected = np.quantile(every.forecaster(series), (0.1, 0.5, 0.9), axis=-1)
    np.testing.assert_allclose(some.forecaster(series), np.moveaxis(expected, 0, -1), rtol=1e-4)


@pytest.mark.parametrize("distribution", ["student_t", "negative_binomial"])
def test_parameters_and_forecasts_are_in_range(distribution):
    deep_ar = models.deep_ar(**SIZES, **SCALES, distribution=distribution)
    series = make_series(counts=True)
    parameters = deep_ar.trainer(series).numpy()
    assert parameters.shape[:3] == (3, STEPS - 1, 2) and (parameters[..., 1] > 0).all()
    quantiles = deep_ar.forecaster(series).numpy()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    if distribution == "negative_binomial":
        assert (quantiles >= 0).all() and (parameters[..., 0] > 0).all()
    else:
        assert (parameters[..., 2] > 2).all()


def test_the_trainer_is_saved(tmp_path):
    trainer = models.deep_ar(**SIZES, **SCALES).trainer
    trainer.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(make_series()), trainer(make_series()))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"distribution": "cauchy"}, "`distribution`"),
        ({"season": 13}, "at least `season`; got 12 and season=13"),
        ({"samples": 0}, "`samples`"),
    ],
)
def test_what_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        models.deep_ar(**SIZES | options)
