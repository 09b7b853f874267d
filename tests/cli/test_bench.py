"""`tfpar bench` as a command."""

import json

import pytest

from tfpar.cli import bench


def test_a_case_against_a_peer(tfpar, tmp_path):
    path = tmp_path / "figures.json"
    case = "simple_rnn B1 T256"
    run = tfpar("bench", "recurrent", "--cases", case, "--peers", "keras_jit", "--rounds", "1", "--json", str(path))
    assert run.returncode == 0, run.stderr
    report = json.loads(path.read_text())
    assert json.loads(run.stdout) == report
    (row,) = report["rows"]
    assert report["rounds"] == 1
    assert row["case"].startswith(case) and list(row["ratio"]) == ["keras_jit"]
    assert row["seconds"] > 0 and 0 < row["peak_fraction"] < 1 and set(row["memory_bytes"]) <= {"tfpar", "keras_jit"}
    assert report["machine"]["cores"] > 0 and report["machine"]["tensorflow"].startswith("2.21")


def test_refusals(tfpar):
    assert "--peers must list some of keras, torch" in tfpar("bench", "training", "--peers", "tfpar").error
    assert "--cases must be contained in one of lstm B64" in tfpar("bench", "recurrent", "--cases", "H7").error
    assert "--rounds must be 1 or more; got 0" in tfpar("bench", "recurrent", "--rounds", "0").error
    assert "--table README.txt cannot be read" in tfpar("bench", "recurrent", "--table", "README.txt").error


def test_figures_that_are_known_are_not_measured_again(tfpar, tmp_path):
    known, page, picture = tmp_path / "figures.json", tmp_path / "page.md", tmp_path / "ratios.png"
    row = {"case": "lstm B1", "seconds": 1.0, "ratio": {"keras": 2.0}}
    known.write_text(json.dumps({"machine": {"processor": "Abacus", "cores": 2}, "rows": [row]}))
    page.write_text("<!-- tfpar bench recurrent -->\n<!-- end of tfpar bench recurrent -->\n")
    run = tfpar("bench", "recurrent", "--from", str(known), "--table", str(page), "--plot", str(picture))
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == json.loads(known.read_text())
    assert "| lstm B1 | 1,000 | 2.00 |" in page.read_text() and picture.stat().st_size > 1000


def test_an_interrupted_run_has_written_its_results(monkeypatch, tmp_path):
    def row(suite, case, *_):
        if case != suite.CASES[0]:
            raise KeyboardInterrupt
        return {"case": case}

    monkeypatch.setattr(bench, "_row", row)
    path = tmp_path / "figures.json"
    with pytest.raises(KeyboardInterrupt):
        bench.main(["recurrent", "--peers", "", "--json", str(path)])
    assert json.loads(path.read_text())["rows"] == [{"case": bench.recurrent.CASES[0]}]
