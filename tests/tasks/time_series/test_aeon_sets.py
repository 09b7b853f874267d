"""The bundled sets: how their files are read, and, with the package index, what they hold."""

import zipfile

import numpy as np
import pytest

from tfpar.tasks.time_series.aeon_sets.parse import read_labeled, read_series
from tfpar.tasks.time_series.load_labeled import load_labeled_series
from tfpar.tasks.time_series.load_panel import load_panel
from tfpar.tasks.time_series.panel_tables import PanelColumns


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as files:
        files.writestr("A_TRAIN.ts", "@classLabel true x y\n@data\n1,2:x\n3,4,5:y\n")
        files.writestr("a.csv", "t,value,is_anomaly\n5,1.5,0\n6,2.5,1\n")
        files.writestr("b.csv", "t,value,is_anomaly\n7,3.5,0.0\n")
    return path


def test_labeled_series(archive):
    first, second = read_labeled(archive, "A", "train")
    np.testing.assert_array_equal(first["series"], [[1], [2]])
    assert (first["label"], second["label"], len(second["series"])) == ("x", "y", 3)


def test_a_series_of_several_files(archive):
    series = read_series(archive, ("a.csv", "b.csv"), ("value",), "t", "is_anomaly")
    assert series["time"] == ["5", "6", "7"] and list(series["is_anomaly"]) == [0, 1, 0]
    np.testing.assert_array_equal(series["values"], [[1.5], [2.5], [3.5]])
    unlabeled = read_series(archive, ("a.csv", "b.csv"), ("value",), "")
    assert unlabeled["time"] == ["0", "1", "2"] and set(unlabeled["is_anomaly"]) == {-1}


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "train", "test", "steps", "channels", "classes"),
    [
        ("japanese_vowels", 270, 370, 29, 12, 9),
        ("osu_leaf", 200, 242, 427, 1, 6),
        ("arrow_head", 36, 175, 251, 1, 3),
        ("italy_power_demand", 67, 1029, 24, 1, 2),
        ("gun_point", 50, 150, 150, 1, 2),
        ("basic_motions", 40, 40, 100, 6, 4),
        ("acsf1", 100, 100, 1460, 1, 10),
        ("pickup_gesture", 50, 50, 361, 1, 10),
    ],
)
def test_labeled_sets(name, train, test, steps, channels, classes, tmp_path, tfds):
    data = load_labeled_series(name, cache_dir=tmp_path)
    assert (len(data.train), len(data.test), data.steps) == (train, test, steps)
    assert (len(data.channels), len(data.class_names)) == (channels, classes)
    assert data.split_rule == "as published in the UCR and UEA archives"


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "steps", "columns", "anomalies", "season"),
    [
        ("airline_passengers", 144, 1, None, 12),
        ("daphnet", 7040, 9, 0, 1),
        ("ecg_diff_count", 20_000, 1, 300, 1),
        ("ucr_internal_bleeding", 7501, 1, 12, 1),
    ],
)
def test_series(name, steps, columns, anomalies, season, tmp_path, tfds):
    panel = load_panel(name, PanelColumns(), cache_dir=tmp_path)
    assert panel.values.shape == (steps, columns) and not panel.has_missing and panel.filled == 0
    assert (None if panel.labels is None else int((panel.labels > 0).sum())) == anomalies
    assert panel.grid.season() == season
