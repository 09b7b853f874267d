"""Models for time series: missing values and padding have no effect, forecasts keep their units, and nothing leaks."""

import keras
import numpy as np
import pytest

from tfpar import layers, models
from tfpar.models.conformal_interval import ConformalInterval
from tfpar.models.window_scaling import WindowScaling

CLASSIFIER = dict(columns=2, num_outputs=3, has_indicators=True, units=4, width=4, steps=9, seed=1)
FORECASTER = dict(input_length=12, horizon=8, targets=2, units=6, segment=4, dropout=0.0, seed=1)


def with_indicators(values, missing):
    observed = np.where(missing, 0, 1).astype("float32")
    return np.concatenate([values, np.broadcast_to(observed, values.shape)], axis=-1).astype("float32")


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(3, 9, 2)).astype("float32")


@pytest.mark.parametrize("differences", [None, (0.5, 2.0)])
@pytest.mark.parametrize("kind", ["lstm_fcn", "recurrent", "conv_recurrent"])
def test_missing_values_have_no_effect(kind, differences, values):
    classifier = models.time_series_classifier(kind, difference_deviation=differences, **CLASSIFIER)
    missing = np.zeros((1, 9, 1), bool)
    missing[:, [3, 7, 8]] = True
    other = np.where(missing, 99.0, values)
    one, two = (classifier(with_indicators(v, missing)).numpy() for v in (values, other))
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert one.shape == (3, 3) and np.abs(one - classifier(with_indicators(values, missing & False))).max() > 1e-3


def test_a_recurrent_classifier_takes_any_length(values):
    classifier = models.time_series_classifier("recurrent", **CLASSIFIER | {"steps": None})
    short = classifier(with_indicators(values[:, :6], np.zeros((1, 6, 1), bool)))
    padded = np.concatenate([with_indicators(values[:, :6], np.zeros((1, 6, 1), bool)), np.zeros((3, 3, 4))], axis=1)
    np.testing.assert_allclose(short, classifier(padded.astype("float32")), atol=1e-6)


def test_convolutions_do_not_see_masked_steps(values):
    layer = layers.MaskedConvolution(5, 3, seed=2)
    whole = layer(values[:, :6])
    masked = layer(values, mask=np.arange(9)[None] < np.full((3, 1), 6))
    np.testing.assert_allclose(whole, masked[:, :6], atol=1e-6)


def test_standardization_and_its_inverse(values):
    mean, deviation = [1.0, -2.0], [0.5, 4.0]
    scaled = layers.Standardization(mean, deviation)(values)
    np.testing.assert_allclose(scaled, (values - mean) / deviation, rtol=1e-5)
    np.testing.assert_allclose(layers.Unstandardization(mean, deviation)(scaled), values, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="deviations above zero"):
        layers.Standardization([0.0], [0.0])


def test_differences_are_those_of_numpy(values):
    observed = np.ones_like(values)
    observed[0, 4, 1] = 0
    appended = layers.Differences([0.5, 4.0], has_indicators=True)(np.concatenate([values, observed], axis=-1))
    expected = np.diff(values, axis=1, prepend=values[:, :1]) / [0.5, 4.0]
    expected[0, 4:6, 1] = 0
    np.testing.assert_allclose(appended, np.concatenate([values, observed, expected], axis=-1), atol=1e-6)


def test_a_convolution_sees_as_many_steps_as_its_kernel_has(values):
    """The features at a step depend on the steps that the three kernels reach, and on no others."""
    sizes = dict(CLASSIFIER, kind="lstm_fcn", has_indicators=False, kernel_sizes=(3, 1, 3))
    classifier = models.time_series_classifier(**sizes)
    convolved = keras.Model(classifier.input, classifier.get_layer("convolution_2").output)
    changed = values.copy()
    changed[:, 4] += 1
    is_other = np.abs(convolved(values) - convolved(changed)).max(axis=(0, 2)) > 1e-7
    assert is_other.tolist() == [False] * 2 + [True] * 5 + [False] * 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel_sizes": (8, 5)}, "`kernel_sizes` must be 3 numbers; got"),
        ({"kernel_sizes": (8, 5, 0)}, "`kernel_sizes`, expected a positive integer. Received: kernel_sizes=0"),
        ({"difference_deviation": (1.0,)}, "`difference_deviation` must have one number for each of the 2 columns"),
        ({"difference_deviation": (1.0, 0.0)}, "`deviation` must have one number above zero for each column"),
    ],
)
def test_refused_arguments_of_a_classifier(changes, words):
    with pytest.raises(ValueError, match=words):
        models.time_series_classifier(**CLASSIFIER | changes)


def test_the_scale_of_a_window_is_a_number_for_any_weights():
    values = np.random.default_rng(0).normal(size=(50, 9, 2)).astype("float32")
    for outputs in WindowScaling("window")(values, np.flip(values, axis=0)):
        assert np.isfinite(outputs).all()


@pytest.mark.parametrize("kind", ["segrnn", "seq2seq", "direct"])
@pytest.mark.parametrize("scaling", ["global", "window"])
def test_forecasts_move_with_the_units(kind, scaling):
    """Another origin and another unit of the input are another origin and another unit of the forecast."""
    series = np.random.default_rng(0).normal(size=(2, 12, 2)).astype("float32")
    one = models.forecaster(kind, scaling=scaling, **FORECASTER)
    two = models.forecaster(kind, scaling=scaling, mean=(10, 20), deviation=(2, 3), **FORECASTER)
    two.set_weights(one.get_weights())
    expected = one(series).numpy() * [2, 3] + [10, 20]
    np.testing.assert_allclose(two((series * [2, 3] + [10, 20]).astype("float32")), expected, rtol=1e-4, atol=1e-4)
    assert expected.shape == (2, 8, 2)


@pytest.mark.parametrize(("kind", "factor"), [("direct", 10), ("deepar", 1)])
def test_forecasts_move_with_the_statistics_of_their_series(kind, factor):
    """A series of the same shape, `factor` times as large and higher, has such a forecast. DeepAR sees the scale."""
    sizes = dict(FORECASTER, known=1, has_indicators=True, mean=(3, 5, 0), deviation=(2, 4, 1), scaling="series")
    if kind == "deepar":
        forecaster = models.deep_ar(**{k: v for k, v in sizes.items() if k != "segment"}, samples=10).forecaster
    else:
        forecaster = models.forecaster(kind, **sizes)
    generator = np.random.default_rng(0)
    values = generator.normal(size=(2, 20, 3))
    values[..., :2] += [3, 5]
    statistics = np.tile(np.array([3.0, 5.0, 1.5, 2.0]), (2, 20, 1))
    larger, larger_statistics = values.copy(), statistics * factor
    larger[..., :2] = factor * values[..., :2] + 7
    larger_statistics[..., :2] += 7
    none_missing = np.zeros((1, 20, 1), bool)
    one, two = (
        forecaster(with_indicators(np.concatenate(both, axis=-1), none_missing)).numpy()
        for both in ((values, statistics), (larger, larger_statistics))
    )
    np.testing.assert_allclose(two, factor * one + 7, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["segrnn", "seq2seq", "direct"])
def test_columns_that_are_known_ahead(kind):
    """They change the forecast; other columns of the future do not."""
    forecaster = models.forecaster(kind, past=1, known=1, has_indicators=True, quantiles=(0.1, 0.5, 0.9), **FORECASTER)
    values = np.random.default_rng(0).normal(size=(2, 20, 4)).astype("float32")
    series = with_indicators(values, np.zeros((1, 20, 1), bool))
    one = forecaster(series).numpy()
    assert one.shape == (2, 8, 2, 3) and (np.diff(one, axis=-1) > 0).all()
    future = series.copy()
    future[:, 12:, :3] = 9
    np.testing.assert_array_equal(forecaster(future), one)
    future[:, 12:, 3] = 9
    assert np.abs(forecaster(future).numpy() - one).max() > 1e-4


def test_the_last_observed_value_is_the_level():
    forecaster = models.forecaster("direct", has_indicators=True, **FORECASTER)
    forecaster.get_layer("output").set_weights([np.zeros_like(w) for w in forecaster.get_layer("output").get_weights()])
    values = np.arange(24, dtype="float32").reshape(1, 12, 2)
    missing = np.zeros((1, 12, 2), bool)
    missing[0, 9:, 0] = True
    forecast = forecaster(with_indicators(values, missing)).numpy()
    np.testing.assert_allclose(forecast[0, 0], [values[0, 8, 0], values[0, 11, 1]])


def test_segrnn_decodes_each_segment_from_the_state_of_the_encoder():
    """Against the equations of the paper, with Keras' own GRU."""
    forecaster = models.forecaster("segrnn", **FORECASTER)
    series = np.random.default_rng(0).normal(size=(1, 12, 2)).astype("float32")
    weight = {layer.name: layer.get_weights() for layer in forecaster.layers}
    gru = keras.layers.GRU(6)
    gru.build((None, None, 6))
    recurrence = forecaster.get_layer("recurrence")
    gru.set_weights(recurrence.recurrent.get_weights())
    for target in range(2):
        centered = series[0, :, target] - series[0, -1, target]
        segments = np.maximum(centered.reshape(3, 4) @ weight["segments"][0] + weight["segments"][1], 0)
        state = gru(segments[None])
        for segment in range(2):
            positions, names = recurrence.queries.get_weights()
            query = np.concatenate([positions[segment], names[target]])
            hidden = gru(query[None, None], initial_state=state)
            values = hidden @ weight["output"][0] + weight["output"][1] + series[0, -1, target]
            forecast = forecaster(series)[0, 4 * segment : 4 * segment + 4, target]
            np.testing.assert_allclose(forecast, values[0], atol=1e-5)


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("kind", ["segrnn", "seq2seq", "direct"])
def test_forecasters_are_saved_and_cloned(kind, known, tmp_path):
    sizes = FORECASTER | {"known": known}
    series = np.random.default_rng(0).normal(size=(3, 12 + 8 * bool(known), 2 + known)).astype("float32")
    forecaster = models.forecaster(kind, **sizes)
    expected = forecaster(series).numpy()
    forecaster.save(tmp_path / "forecaster.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "forecaster.keras")(series), expected)
    clone = keras.models.clone_model(forecaster)
    clone.set_weights(forecaster.get_weights())
    np.testing.assert_array_equal(clone(series), expected)


@pytest.mark.parametrize("kind", ["autoencoder", "residual"])
def test_anomaly_models(kind):
    model = models.anomaly_autoencoder(kind, columns=2, steps=9, units=4, has_indicators=True)
    values = np.random.default_rng(0).normal(size=(3, 9, 2)).astype("float32")
    series = with_indicators(values, np.zeros((1, 9, 1), bool))
    estimate = model(series).numpy()
    assert estimate.shape == (3, 9, 2)
    later = series.copy()
    later[:, 6:, :2] += 1
    sees_ahead = np.abs(model(later).numpy() - estimate)[:, :6].max() > 1e-6
    assert sees_ahead == (kind == "autoencoder")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: models.time_series_classifier("lstm_fcn", columns=1, num_outputs=2), "`steps` must be given"),
        (lambda: models.time_series_classifier("cnn", columns=1, num_outputs=2), "`kind`"),
        (lambda: models.forecaster(**FORECASTER | {"segment": 5}), "`segment` must divide"),
        (lambda: models.anomaly_autoencoder(columns=1), "`steps` must be given"),
    ],
)
def test_what_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    ("scaling", "scale"),
    [("global", [2.0, 4.0]), ("window", [3.0, 9.0]), ("series", [5.0, 6.0]), ("counts", [8.0, 8.0])],
)
def test_intervals_are_in_units_of_the_scale(scaling, scale):
    """The window's values are 7 less and plus its deviation; a missing one is not counted."""
    window = np.concatenate([np.tile([[4.0, -2.0], [10.0, 16.0]], (3, 1)), [[99.0, 99.0]]])
    columns = [window, np.tile([1.0, 1.0, 5.0, 6.0], (7, 1))] if scaling == "series" else [window]
    series = with_indicators(np.concatenate(columns, axis=-1)[None], np.arange(7)[None, :, None] == 6)
    mean, deviation = ((0, 0), (1, 1)) if scaling == "counts" else ((1, 1), (2, 4))
    margins = np.array([[[0.5, 1.0], [1.0, 2.0]], [[-0.5, 0.1], [2.0, -9.0]]])
    layer = ConformalInterval(margins, scaling, 7, mean, deviation, has_indicators=True)
    below, above = margins[..., 0] * scale, margins[..., 1] * scale
    point = np.ones((1, 2, 2), "float32")
    expected = np.stack([np.minimum(1 - below, 1), point[0], np.maximum(1 + above, 1)], -1)[None]
    np.testing.assert_allclose(layer(point, series), expected, rtol=1e-3, atol=1e-3)
    wide = np.broadcast_to(np.array([-1.0, 0.0, 2.0], "float32"), (1, 2, 2, 3))
    expected = np.stack([np.minimum(-1 - below, 0), wide[0, ..., 1], np.maximum(2 + above, 0)], -1)[None]
    np.testing.assert_allclose(layer(wide, series), expected, rtol=1e-3, atol=1e-3)
    again = ConformalInterval.from_config(layer.get_config())
    np.testing.assert_array_equal(again(wide, series), layer(wide, series))
