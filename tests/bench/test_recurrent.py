"""All competitors of `tfpar bench recurrent` run the network of the case."""

import importlib.util
import json
import subprocess
import sys

import pytest

from tfpar.bench import recurrent
from tfpar.bench.cases import GATES, Case
from tfpar.bench.recurrent import PEERS

FIGURES = """
import json, sys
from tfpar.bench.cases import GATES, Case
from tfpar.bench.recurrent import COMPETITORS
sizes = {"batch": 4, "time": 5, "features": 3, "units": 2}
cases = [Case(cell, **sizes) for cell in GATES] + [Case("gru", **sizes, layers=2, vocabulary=7)]
steps = [COMPETITORS[sys.argv[1]](case) for case in cases]
inference = COMPETITORS[sys.argv[1]](Case("lstm", **sizes, inference=True))
losses = [[step.run() for _ in range(20)] for step in steps]
print(json.dumps({"losses": losses, "outputs": [inference.run() for _ in range(2)], "number": steps[0].number}))
"""


@pytest.mark.parametrize("competitor", ["tfpar", *PEERS])
def test_each_step_lowers_the_loss_and_outputs_are_constant(competitor):
    package = competitor.split("_")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs a peer: pip install {package}")
    # Frameworks do not all bear each other in one process.
    run = subprocess.run([sys.executable, "-c", FIGURES, competitor], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout.splitlines()[-1])
    assert len(figures["losses"]) == len(GATES) + 1
    assert figures["number"] == (8 if package in ("tfpar", "keras") else 1)
    for losses in figures["losses"]:
        assert losses[-1] < losses[0] < 2
    first, second = figures["outputs"]
    assert first == second != 0


def test_names_of_cases_can_be_read_back():
    assert [str(Case.parse(name)) for name in recurrent.CASES] == list(recurrent.CASES)
    assert len(recurrent.CASES) == 24
    assert (
        "gru B64 T50 I128 H256 L2 V20000" in recurrent.CASES and "lstm B1 T100 I128 H256 inference" in recurrent.CASES
    )


def test_operations_are_counted_by_hand():
    projection, recurrence = 2 * 64 * 100 * 128 * 1024, 2 * 64 * 100 * 256 * 1024
    assert Case("lstm", 64, 100, 128, 256).flops == 2 * projection + 3 * recurrence
    # The second layer's projection is as large as a recurrence, and the embedding gets a gradient through the first.
    assert Case("lstm", 64, 100, 128, 256, layers=2, vocabulary=9).flops == 3 * projection + 9 * recurrence
    assert Case("lstm", 64, 100, 128, 256, inference=True).flops == projection + recurrence


def test_seconds_are_of_one_step(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(recurrent.time, "perf_counter", lambda: next(now))
    assert recurrent.seconds_per_step(recurrent.Steps(lambda: 0.0, number=8)) == 1 / 8


def test_the_row_of_a_case():
    peak = 2 * 2048**3 / 0.1
    seconds = {"tfpar": 0.5, "keras": 1.0, "matmul": 0.1}
    row = recurrent.row("gru B1 T256 I128 H128", seconds)
    flops = 2 * 256 * 3 * 128 * (2 * 128 + 3 * 128)
    assert row["gflops_per_second"] == pytest.approx(flops / 0.5e9)
    assert row["peak_fraction"] == pytest.approx(flops / 0.5 / peak)
