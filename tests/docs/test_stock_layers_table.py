"""The table of stock layers in docs/sequence_layers.md equals what the checker finds."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "write_stock_layers_table.py"
spec = importlib.util.spec_from_file_location("write_stock_layers_table", SCRIPT)
table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(table)


def test_the_page_has_a_row_for_each_layer_and_a_reason_for_each_broken_law():
    rows = table.read_rows()
    assert list(rows) == list(table.CASES)
    assert all(("**no**" in row) == bool(table.CASES[name].reason) for name, row in rows.items())


@pytest.mark.parametrize("name", ["Conv1D, same"])
def test_a_row_equals_what_the_checker_finds(name):
    assert table.read_rows()[name] == table.make_row(name, table.find_broken_laws(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in table.CASES if name != "Conv1D, same"])
def test_rows_equal_what_the_checker_finds(name):
    assert table.read_rows()[name] == table.make_row(name, table.find_broken_laws(name))
