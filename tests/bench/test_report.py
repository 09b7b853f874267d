"""Figures become a table and a picture."""

import json
from pathlib import Path

import pytest

from tfpar.bench.report import draw, put_table, read_report, table
from tfpar.errors import UserError

ROWS = [
    {"case": "lstm B1", "seconds": 0.0125, "peak_fraction": 0.5, "ratio": {"keras": 2.0, "torch": 4.0}},
    {"case": "gru B1", "seconds": 2.0, "peak_fraction": 0.25, "ratio": {"keras": 8.0, "torch": 1.0}},
]
REPORT = {"machine": {"processor": "Abacus", "cores": 2, "tensorflow": "2.21.0"}, "rows": ROWS}
LINES = """
| case | ms | share of matmul peak | keras | torch | best |
|---|---|---|---|---|---|
| lstm B1 | 12.5 | 50% | 2.00 | 4.00 | 2.00 |
| gru B1 | 2,000 | 25% | 8.00 | 1.00 | 1.00 |
| geometric mean |  |  | **4.00** | **2.00** | **1.41** |

Abacus, 2 cores; tensorflow 2.21.0.
"""


def test_further_columns():
    rows = [{**ROWS[0], "form": "loop", "bytes": 1234567, "examples_per_second": 4130.5}, ROWS[1]]
    assert "| case | form | bytes | examples a second | ms |" in table({**REPORT, "rows": rows})
    assert "| lstm B1 | loop | 1,234,567 | 4,130 | 12.5 |" in table({**REPORT, "rows": rows})
    assert "| gru B1 |  |  |  | 2,000 |" in table({**REPORT, "rows": rows})


def test_table():
    assert table(REPORT) == LINES
    assert "tensorflow 2.21.0; one round.\n" in table({**REPORT, "rounds": 1})
    assert "tensorflow 2.21.0; medians of 3 rounds.\n" in table({**REPORT, "rounds": 3})


def test_split_of_step_time():
    parts = {"matmuls": {"seconds": 0.01, "peak_fraction": 0.625}, "others": {"seconds": 0.002}}
    lines = """
| case | ms | share of matmul peak |
|---|---|---|
| lstm B1 | 12.5 | 50% |

| of our time (at a share of the peak) | matmuls | others |
|---|---|---|
| lstm B1 | 80% at 62% | 16% |

Abacus, 2 cores; tensorflow 2.21.0.
"""
    assert table({**REPORT, "rows": [{**ROWS[0], "ratio": {}, "parts": parts}]}) == lines


def test_memory():
    rows = [{**ROWS[0], "memory_bytes": {"tfpar": 54.4e6, "keras": 1e9}}, {**ROWS[1], "memory_bytes": {"tfpar": 1e6}}]
    memory = """
| memory in MB | tfpar | keras |
|---|---|---|
| lstm B1 | 54 | 1,000 |
| gru B1 | 1 |  |

Abacus"""
    assert memory in table({**REPORT, "rows": rows})


def test_a_peer_that_is_missing_somewhere_gives_an_empty_cell():
    report = {**REPORT, "rows": [ROWS[0], {**ROWS[1], "ratio": {"keras": 8.0}}]}
    assert "| gru B1 | 2,000 | 25% | 8.00 |  | 8.00 |" in table(report)


def test_the_table_replaces_the_former_one(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- tfpar bench recurrent -->\nold\n<!-- end of tfpar bench recurrent -->\nbehind\n")
    for _ in range(2):
        put_table(REPORT, path, "recurrent")
    assert path.read_text() == (
        f"before\n<!-- tfpar bench recurrent -->\n{LINES}<!-- end of tfpar bench recurrent -->\nbehind\n"
    )
    with pytest.raises(UserError, match="needs a line <!-- tfpar bench training --> and a line"):
        put_table(REPORT, path, "training")


def test_picture(tmp_path):
    path = tmp_path / "ratios.png"
    draw(REPORT, path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", ["", "[]", '{"rows": []}', '{"rows": [{"case": "x"}]}', '{"rows": 3}'])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "figures.json"
    path.write_text(content)
    with pytest.raises(UserError, match="figures"):
        read_report(path)
    path.write_text(json.dumps(REPORT))
    assert read_report(path) == REPORT


@pytest.mark.parametrize("suite", ["training", "recurrent", "profile", "export"])
def test_benchmark_page_shows_stored_figures(suite):
    root = Path(__file__).parents[2]
    report = read_report(root / f"tfpar/bench/figures/{suite}.json")
    assert table(report) in (root / "docs/benchmarks.md").read_text()
