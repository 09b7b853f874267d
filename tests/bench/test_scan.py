"""`tfpar bench scan`: no time is printed of a layer that differs from its equations."""

import json

import pytest

from tfpar.bench import report, scan
from tfpar.bench.scan import CASES, ScanCase
from tfpar.layers import MinGRU

SMALL = ScanCase("min_gru", "auto", 2, 6, 3)


def test_names_of_cases_can_be_read_back():
    assert [str(ScanCase.parse(name)) for name in CASES] == list(CASES)
    assert "min_gru auto B8 T65536 H64" in CASES and "mlstm auto B8 T1024 H128" in CASES
    with pytest.raises(ValueError, match="must be the output of `str`; got 'min_gru'"):
        ScanCase.parse("min_gru")


@pytest.mark.parametrize(
    "cell, evaluation", [("min_gru", "scan"), pytest.param("mlstm", "auto", marks=pytest.mark.slow)]
)
def test_layers_equal_their_equations(cell, evaluation):
    assert scan.find_difference(SMALL._replace(cell=cell, evaluation=evaluation)) is None


def test_a_wrong_layer_is_not_timed(monkeypatch):
    def wrong(self, sequences, initial_state=None, mask=None, training=False):
        return 1.001 * right(self, sequences, initial_state, mask, training)

    right = MinGRU.call
    monkeypatch.setattr(MinGRU, "call", wrong)
    result = scan.measure("tfpar", SMALL)
    assert list(result) == ["refused"] and result["refused"].startswith("the output differs by ")


@pytest.mark.parametrize(
    "competitor",
    ["tfpar", *(pytest.param(peer, marks=pytest.mark.slow) for peer in ("tfpar_lstm", "keras_gru", "jax"))],
)
def test_steps_lower_the_loss(competitor):
    if competitor == "jax":
        pytest.importorskip("jax")
    steps = scan.COMPETITORS[competitor](SMALL)
    losses = [steps.run() for _ in range(30)]
    assert losses[-1] < losses[0] and steps.number == 1


def test_a_refused_row_in_the_command_and_the_table(monkeypatch, capsys):
    from tfpar.cli import bench

    runs = {"tfpar": [{"refused": "the output differs"}], "keras_lstm": [{"seconds": 1.0}]}
    monkeypatch.setattr(bench, "run_interleaved", lambda *_: runs)
    bench.main(["scan", "--cases", CASES[0], "--peers", "keras_lstm", "--rounds", "1"])
    written = json.loads(capsys.readouterr().out)
    assert written["rows"] == [{"case": CASES[0], "refused": "the output differs", "ratio": {}}]
    assert f"| {CASES[0]} | refused |" in report.table(written)
