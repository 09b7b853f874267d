"""`--cell module:Class`: a recipe with a layer of the user's own."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "new_cell.md"


def write_guide_example(directory):
    (directory / "peephole.py").write_text(re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.S)[1])


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["peephole:PeepholeLSTM", "peephole.py:PeepholeLSTM"])
def test_the_example_of_the_guide(sentiment, cell):
    write_guide_example(sentiment.directory)
    flags = ("--nobidirectional", "--export_dir", "out", "--export", "float32")
    run = sentiment("--smoke", "--noxla", "--cell", cell, *flags)
    assert run.result["cell"] == cell and "peephole_lstm by the" in run.stderr
    (export,) = run.result["exports"]
    assert export["form"] == "loop" and export["max_abs_error"] < 1e-5
    assert "PeepholeLSTM of 8 units" in (sentiment.directory / "out" / "card.md").read_text()


def test_a_class_that_does_not_exist(sentiment):
    write_guide_example(sentiment.directory)
    error = sentiment("--smoke", "--noxla", "--cell", "peephole:PeepholeLTSM").error
    assert "peephole has no 'PeepholeLTSM'; did you mean 'PeepholeLSTM'?" in error


def test_a_translator_with_input_feeding(run_recipe):
    error = run_recipe("translation", "--smoke", "--noxla", "--cell", "peephole:PeepholeLSTM", "--input_feeding").error
    assert "--cell must be lstm or gru for --input_feeding" in error
