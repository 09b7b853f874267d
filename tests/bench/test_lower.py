"""`tfpar bench scan --lower`: programs that JAX runs with the results of the layers."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tfpar.bench import lower
from tfpar.bench.lower import lower_cases
from tfpar.bench.scan import ScanCase
from tfpar.cli import bench
from tfpar.errors import UserError

SMALL = str(ScanCase("min_gru", "scan", 2, 12, 4))
ALL = [
    str(ScanCase(cell, "auto", 2, 40, 8))
    for cell in ("min_gru", "min_lstm", "rg_lru", "mlstm", "para_gru", "para_lstm")
]


def run(directory, *names):
    done = subprocess.run([sys.executable, directory / "run.py", *names], capture_output=True, text=True, timeout=120)
    return done.returncode, {report["program"]: report for report in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("names", [[SMALL], pytest.param(ALL, marks=pytest.mark.slow)])
def test_jax_computes_the_results_of_the_layers_and_no_time_is_printed_of_others(tmp_path, names):
    programs = list(lower_cases(names, tmp_path))
    assert programs[-1].startswith("lstm_sequential")
    code, reports = run(tmp_path)
    assert code == 0 and sorted(reports) == sorted(programs)
    assert all(report["error"] < 1e-5 and report["seconds"] > 0 for report in reports.values())
    with np.load(tmp_path / f"{programs[0]}.npz") as saved:
        arrays = dict(saved)
    np.savez(tmp_path / f"{programs[0]}.npz", **{**arrays, "e0": arrays["e0"] + 0.01})
    code, reports = run(tmp_path, programs[0])
    assert code == 1 and reports[programs[0]]["refused"] and "seconds" not in reports[programs[0]]


def test_a_wrong_layer_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(lower, "find_difference", lambda case: "the output differs by 1")
    with pytest.raises(UserError, match="min_gru scan .* is not written, since the output differs by 1"):
        list(lower_cases([SMALL], tmp_path))
    assert not list(tmp_path.glob("*.mlir"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["recurrent", "--lower", "x"], "--lower is for the suite scan; got recurrent"),
        (["scan", "--lower", "x", "--cases", "nothing"], "--cases must be contained in one of"),
        (["scan", "--lower", __file__], "is a file; name a directory"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(UserError, match=message):
        bench.main(arguments)
