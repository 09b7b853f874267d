"""All competitors of `tfpar bench recurrent` train the layer that they are said to train."""

import importlib.util
import json
import subprocess
import sys

import pytest

from tfpar.bench import recurrent
from tfpar.bench.recurrent import CELLS, PEERS, Case

LOSSES = """
import json, sys
from tfpar.bench.recurrent import CELLS, COMPETITORS, Case
steps = [COMPETITORS[sys.argv[1]](Case(cell, batch=4, time=5, features=3, units=2)) for cell in CELLS]
print(json.dumps([[step() for _ in range(20)] for step in steps]))
"""


@pytest.mark.parametrize("competitor", ["tfpar", *PEERS])
def test_each_step_lowers_the_loss(competitor):
    package = competitor.split("_")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs a peer: pip install {package}")
    # Frameworks do not all bear each other in one process.
    run = subprocess.run([sys.executable, "-c", LOSSES, competitor], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    losses_of_cells = json.loads(run.stdout.splitlines()[-1])
    assert len(losses_of_cells) == len(CELLS)
    for losses in losses_of_cells:
        assert losses[-1] < losses[0] < 2


def test_names_of_cases_can_be_read_back():
    assert [str(Case.parsed(name)) for name in recurrent.CASES] == list(recurrent.CASES)
    assert len(recurrent.CASES) == 18


def test_operations_are_counted_by_hand():
    projection, recurrence = 2 * 64 * 100 * 128 * 1024, 2 * 64 * 100 * 256 * 1024
    assert Case("lstm", 64, 100, 128, 256).flops == 2 * projection + 3 * recurrence


def test_figures_of_a_case():
    peak = 2 * 2048**3 / 0.1
    row = recurrent.row("gru B1 T256 I128 H128", {"tfpar": 0.5, "keras": 1.0, "matmul": 0.1})
    flops = 2 * 256 * 3 * 128 * (2 * 128 + 3 * 128)
    assert row["gflops_per_second"] == pytest.approx(flops / 0.5e9)
    assert row["peak_fraction"] == pytest.approx(flops / 0.5 / peak)
