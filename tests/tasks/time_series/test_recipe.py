"""Settings of the time series recipe: each is of use, or the user is told that it is not."""

import pytest

from tfpar.tasks.time_series.recipe import TimeSeriesConfig


@pytest.mark.parametrize(
    ("given", "without_effect"),
    [
        (dict(task="forecast", mixup=0.5, input_length=48, segment=4), ["mixup"]),
        (dict(task="forecast", model="deepar", samples=50, segment=4), ["segment"]),
        (dict(task="anomaly", horizon=3, input_length=32, smoothing=2), ["horizon"]),
        (dict(task="classify", model="recurrent", kernel_sizes="3,3,3", season=4), ["kernel_sizes"]),
        (dict(task="classify", differences=True, bidirectional=False), []),
    ],
)
def test_settings_of_other_tasks_are_named(given, without_effect):
    config = TimeSeriesConfig(**given)
    expected = [f"--{name} has no effect with --task {config.task} --model {config.model}" for name in without_effect]
    assert list(config.notes()) == expected


@pytest.mark.parametrize(("dataset", "names"), [("csv:a.csv", []), ("npz:a.npz", ["delimiter", "time_column"])])
def test_settings_of_tables_are_named_for_other_sets(dataset, names):
    config = TimeSeriesConfig(dataset=dataset, time_column="day", delimiter=";")
    assert list(config.notes()) == [f"--{name} has no effect with --dataset {dataset}" for name in names]
