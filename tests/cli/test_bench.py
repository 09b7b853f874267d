"""`tfpar bench` as a command."""

import json


def test_a_case_against_a_peer(tfpar, tmp_path):
    path = tmp_path / "figures.json"
    case = "simple_rnn B1 T256"
    run = tfpar("bench", "recurrent", "--cases", case, "--peers", "keras_jit", "--rounds", "1", "--json", str(path))
    assert run.returncode == 0, run.stderr
    report = json.loads(path.read_text())
    assert json.loads(run.stdout) == report
    (row,) = report["rows"]
    assert row["case"].startswith(case) and list(row["ratio"]) == ["keras_jit"]
    assert row["seconds"] > 0 and 0 < row["peak_fraction"] < 1
    assert report["machine"]["cores"] > 0 and report["machine"]["tensorflow"].startswith("2.21")


def test_refusals(tfpar):
    assert "--peers must list some of keras, torch" in tfpar("bench", "training", "--peers", "tfpar").error
    assert "--cases must be part of one of lstm B64" in tfpar("bench", "recurrent", "--cases", "H7").error
    assert "--rounds must be 1 or more; got 0" in tfpar("bench", "recurrent", "--rounds", "0").error
