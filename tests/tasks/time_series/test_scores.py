"""Scores, baselines and intervals, against their definitions."""

import numpy as np
import pytest

from tfpar.tasks.time_series import anomaly_scores, baselines, forecast_scores, intervals, label_scores


def test_point_scores_ignore_missing_values():
    truth = np.array([[[1.0], [np.nan], [4.0]]])
    forecast = np.array([[[2.0], [9.0], [2.0]]])
    scores = forecast_scores.score_points(truth, forecast, np.array([2.0]))
    assert scores["mse_units"] == 2.5 and scores["mae_units"] == 1.5
    assert (scores["mse"], scores["mae"]) == (0.625, 0.75)
    assert scores["smape"] == pytest.approx(100 * (1 / 1.5 + 2 / 3) / 2)


def test_mase_of_the_seasonal_naive_forecast_on_its_own_training_steps_is_one():
    values = np.random.default_rng(0).normal(size=(50, 2))
    scale = forecast_scores.naive_scale(values, 7)
    truth, forecast = values[None, 7:], values[None, :-7]
    assert forecast_scores.mean_absolute_scaled_error(truth, forecast, scale[None]) == pytest.approx(1)


def test_quantile_scores():
    truth = np.linspace(0.5, 99.5, 100).reshape(1, 100, 1)
    quantiles = np.broadcast_to([10.0, 50.0, 90.0], (1, 100, 1, 3))
    scores = forecast_scores.score_quantiles(truth, quantiles, (0.1, 0.5, 0.9))
    assert scores["coverage"] == 0.8
    pinball = np.mean([np.abs(truth - 50).sum() / truth.sum(), *[2 * 0.1 * 0.9 * 50 * 100 / truth.sum()] * 2])
    assert scores["wql"] == pytest.approx(pinball, rel=0.01)


@pytest.mark.parametrize("is_wide", [False, True])
def test_intervals_cover_what_they_promise(is_wide):
    """Around a biased point forecast, and where the network's interval is too wide; each window has its own scale."""
    generator = np.random.default_rng(0)
    half = 3.0 * is_wide

    def draw(windows):
        scale = generator.uniform(0.5, 50, (windows, 1, 2))
        return generator.normal(0.5, size=(windows, 5, 2)) * scale, half * scale, scale

    truth, edge, scale = draw(400)
    margins = intervals.fit_margins(truth, -edge, edge, scale, 0.8)
    assert margins.shape == (5, 2, 2) and ((margins < 0) == is_wide).all()
    truth, edge, scale = draw(2000)
    is_below = truth < -edge - margins[..., 0] * scale
    is_above = truth > edge + margins[..., 1] * scale
    assert 0.08 < is_below.mean() < 0.12 and 0.08 < is_above.mean() < 0.12


def test_margins_of_few_windows():
    """Steps share their scores, missing values have none, and of two values no more than the largest score is known."""
    truth = np.array([[[3.0], [np.nan], [-7.0]]])
    forecast, scale = np.ones((1, 3, 1)), np.full((1, 1, 1), 2.0)
    margins = intervals.fit_margins(truth, forecast, forecast, scale, 0.8)
    np.testing.assert_array_equal(margins, np.broadcast_to([4, 1], (3, 1, 2)))


def test_naive_baselines():
    history = np.array([[[1.0], [2.0], [3.0], [np.nan]]])
    np.testing.assert_array_equal(baselines.forecast_naive(history, 2)[0, :, 0], [3, 3])
    np.testing.assert_array_equal(baselines.forecast_seasonal_naive(history, 3, 2)[0, :, 0], [3, 3, 3])
    np.testing.assert_array_equal(baselines.forecast_seasonal_naive(history, 3, 3)[0, :, 0], [2, 3, 3])
    np.testing.assert_array_equal(baselines.fill_forward(np.full((1, 2, 1), np.nan)), np.zeros((1, 2, 1)))


def test_exponential_smoothing_continues_a_season():
    pytest.importorskip("statsmodels")
    steps = np.arange(60)
    series = np.sin(2 * np.pi * steps / 12) + 0.1 * steps
    forecast = baselines.forecast_smoothing(series[None, :48, None], 12, 12)
    np.testing.assert_allclose(forecast[0, :, 0], series[48:], atol=0.4)
    constant = baselines.forecast_smoothing(np.full((1, 48, 1), 7.0), 3, 12)
    np.testing.assert_array_equal(constant, np.full((1, 3, 1), 7.0))


def test_average_precision_of_random_scores_is_the_rate_of_anomalies():
    generator = np.random.default_rng(0)
    labels = (generator.random(20_000) < 0.1).astype(int)
    assert anomaly_scores.average_precision(labels, generator.random(20_000)) == pytest.approx(0.1, abs=0.01)
    assert anomaly_scores.average_precision(labels, labels.astype(float)) == 1
    assert anomaly_scores.average_precision(labels, np.zeros(20_000)) == pytest.approx(labels.mean())


def test_range_scores_count_no_step_that_has_no_alarm():
    labels = np.array([0, 1, 1, 1, 1, 0, 0, 1, 1, 0])
    alarms = np.array([0, 1, 0, 0, 0, 1, 1, 0, 0, 0], bool)
    scores = anomaly_scores.range_scores(labels, alarms)
    assert scores["range_recall"] == pytest.approx((1 / 4 + 0) / 2)
    assert scores["range_precision"] == pytest.approx((1 + 0) / 2)
    assert anomaly_scores.range_scores(labels, labels > 0)["range_f1"] == 1
    assert anomaly_scores.range_scores(labels, np.zeros(10, bool))["range_f1"] == 0


def test_a_range_ends_where_nothing_is_known_and_with_its_series():
    """One range is found whole and one missed, whether unknown steps or another series are between them."""
    labels, is_alarm = np.array([0, 1, -1, -1, 1, 1, 1]), np.array([0, 1, 1, 1, 0, 0, 0], bool)
    assert anomaly_scores.range_scores(labels, is_alarm) == pytest.approx(
        {"range_precision": 1.0, "range_recall": 0.5, "range_f1": 2 / 3}
    )
    known = labels >= 0
    of_two = anomaly_scores.range_scores(labels[known], is_alarm[known], begins=[0, 2])
    assert of_two["range_recall"] == 0.5 and anomaly_scores.range_scores(labels[known], is_alarm[known], [0])[
        "range_recall"
    ] == pytest.approx(0.25)


@pytest.mark.parametrize("shift", [0, 1])
def test_each_step_has_the_score_of_its_own_error(shift):
    values = np.zeros((23, 2))
    values[9] = 6

    def estimate(windows):
        return np.zeros_like(windows)

    scores = anomaly_scores.score_steps(estimate, values, 8, shift, np.array([2.0, 3.0]))
    assert scores[9] == pytest.approx((9 + 4) / 2) and np.delete(scores, 9).max() == 0
    np.testing.assert_allclose(anomaly_scores.smooth(scores, 2)[8:12], [0, 3.25, 3.25, 0])


def test_rolling_z_scores_find_a_spike():
    values = np.random.default_rng(0).normal(size=(200, 1))
    values[150] += 20
    assert np.argmax(anomaly_scores.rolling_z_scores(values, 50)) == 150


def test_label_scores():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    scores = label_scores.score_labels("classes", np.array([0, 1, 1]), probabilities, ("a", "b"))
    assert scores["metrics"]["accuracy"] == pytest.approx(2 / 3) and scores["confusion_matrix"] == [[1, 0], [1, 1]]
    multi = label_scores.score_labels("multi_label", np.array([[1, 0], [1, 1]]), np.array([[0.9, 0.1], [0.9, 0.2]]), ())
    assert multi["metrics"]["exact_match"] == 0.5 and multi["metrics"]["accuracy"] == 0.75
    numbers = label_scores.score_labels("number", np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), ())
    assert numbers["metrics"]["mae"] == 0.5 and numbers["metrics"]["r2"] == 0.5
