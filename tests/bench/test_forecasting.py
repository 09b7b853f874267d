"""`tfpar bench forecasting`: both networks forecast alike from the same weights, and what differs is not timed."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tfpar.bench import forecasting, report
from tfpar.bench.forecasting import ForecastCase

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the extra `bench`")
SMALL = """
import sys
from tfpar.bench import forecasting
from tfpar.bench.forecasting import ForecastCase
forecasting.STEPS, forecasting.BATCH, forecasting.TIMED_EPOCHS = 60, 8, 1
forecasting.CASES = {"small": ForecastCase(12, 8, units=6, segment=4)}
if sys.argv[1].startswith("time"):
    print(getattr(forecasting, sys.argv[1])(forecasting.CASES["small"]))
else:
    forecasting.main(*sys.argv[1:])
"""


def run_small(*arguments):
    done = subprocess.run([sys.executable, "-c", SMALL, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1:]


def test_weights_have_the_names_and_shapes_of_the_peer(tmp_path, monkeypatch):
    """With PyTorch, which runs in a process of its own, forecasts are equal."""
    monkeypatch.setattr(forecasting, "CASES", {"small": ForecastCase(12, 8, units=6, segment=4)})
    forecasting.write_forecasts("small", tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as file:
        shapes = {name: file[name].shape for name in file.files}
    assert shapes["windows"] == (4, 12, 7) and shapes["forecasts"] == (4, 8, 7)
    assert shapes["recurrent.weight_ih_l0"] == shapes["recurrent.weight_hh_l0"] == (18, 6)
    assert shapes["segments.weight"] == (6, 4) and shapes["output.weight"] == (4, 6)
    if importlib.util.find_spec("torch") is not None:
        assert 0 <= float(run_small("compare", "small", str(tmp_path / "w.npz"))[0]) < 1e-5


def test_forecasts_that_differ_are_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(forecasting, "time_tfpar", lambda case: 2.0)
    monkeypatch.setattr(forecasting, "find_difference", lambda case: 1e-6)
    assert forecasting.measure_tfpar("segrnn L96 H96") == {"seconds": 2.0}
    monkeypatch.setattr(forecasting, "find_difference", lambda case: 0.5)
    refused = forecasting.measure_tfpar("segrnn L96 H96")
    assert list(refused) == ["refused"] and "differ by 0.5" in refused["refused"]


def test_the_table_has_windows_per_second():
    row = forecasting.row("segrnn L96 H96", {"tfpar": 2.0})
    assert row["windows_per_second"] == ForecastCase().windows / 2 == (8640 - 192 + 1) / 2
    row |= {"seconds": 2.0, "ratio": {"torch": 1.6}}
    assert "| 4,224 | 2,000 | 1.60 |" in report.table({"machine": {"processor": "Abacus", "cores": 2}, "rows": [row]})


@pytest.mark.slow
@pytest.mark.parametrize("function", ["time_tfpar", pytest.param("time_torch", marks=needs_torch)])
def test_an_epoch_is_timed(function):
    (seconds,) = run_small(function)
    assert 0 < float(seconds) < 100
