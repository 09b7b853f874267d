"""Recurrent layers by name: built-in, registered, imported from a module or a file, and the refusals."""

import re
import sys
from pathlib import Path

import keras
import pytest

import tfpar
from tfpar import cell_names
from tfpar.errors import UserError
from tfpar.layers import recurrent
from tfpar.layers.recurrent import cells

GUIDE = Path(__file__).parents[2] / "docs" / "new_cell.md"
CLASSES = """
class Plain:
    pass

class Abstract(tfpar.layers.RecurrentLayer):
    pass

class Narrow(PeepholeLSTM):
    def __init__(self, units):
        super().__init__(units)
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """The working directory, with the example of the guide as a module."""
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.S)[1]
    (tmp_path / "cells_of_user.py").write_text(code + CLASSES)
    (tmp_path / "broken_cells.py").write_text("import tfpar\n\nnumber = 1 / 0\n")
    (tmp_path / "misspelled_cells.py").write_text("class Cell\n")
    (tmp_path / "needy_cells.py").write_text("import a_module_that_is_absent\n")
    (tmp_path / "queue.py").write_text("from cells_of_user import PeepholeLSTM\n")  # the name of a module of Python
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]


@pytest.fixture
def registered_names():
    names = set(cell_names.registered)
    yield
    for name in set(cell_names.registered) - names:
        del cell_names.registered[name], cells.LAYERS[name]


@pytest.mark.parametrize(
    "reference",
    ["cells_of_user:PeepholeLSTM", "cells_of_user.py:PeepholeLSTM", "queue.py:PeepholeLSTM"],
)
def test_a_class_is_imported_once(directory, reference):
    path = list(sys.path)
    layer_class = cells.find_layer(reference)
    assert issubclass(layer_class, tfpar.layers.RecurrentLayer) and layer_class.__name__ == "PeepholeLSTM"
    assert cells.find_layer(reference) is layer_class and cells.find_layer(layer_class) is layer_class
    assert cells.find_layer(reference.replace("cells_of_user.py", str(directory / "cells_of_user.py"))) is layer_class
    assert sys.path == path
    import queue

    assert hasattr(queue, "Queue")


def test_a_built_in_class():
    assert cells.find_layer("tfpar.layers:GRU") is cells.find_layer("gru") is tfpar.layers.GRU
    assert tuple(recurrent.cells.CELLS) == cell_names.BUILT_IN


@pytest.mark.parametrize(
    "cell, words",
    [
        ("absent_cells:Cell", "there is no module 'absent_cells'. Give the path of the file"),
        ("absent/cells.py:Cell", r"there is no file .*absent.cells\.py"),
        ("cells_of_user:Peephole", "cells_of_user has no 'Peephole'; did you mean 'PeepholeLSTM'"),
        ("cells_of_user:Plain", "got 'cells_of_user:Plain', which is none"),
        ("cells_of_user:tf", "which is none"),
        ("keras.layers:LSTM", "which is none"),
        ("cells_of_user:Abstract", "which does not implement make_recurrence"),
        ("cells_of_user:Narrow", r"does not accept \(units, kernel_initializer.* Pass \*\*kwargs on"),
        ("broken_cells:Cell", r"ZeroDivisionError in broken_cells\.py, line 3: division by zero"),
        ("broken_cells.py:Cell", r"ZeroDivisionError in broken_cells\.py, line 3: division by zero"),
        ("misspelled_cells:Cell", r"SyntaxError in misspelled_cells\.py, line 1: expected ':'"),
        ("needy_cells:Cell", "No module named 'a_module_that_is_absent'"),
        (keras.layers.LSTM, "got <class .*LSTM'>, which is none"),
        (None, "got None, which is none"),
    ],
)
def test_what_is_refused(directory, cell, words):
    modules = set(sys.modules)
    with pytest.raises(UserError, match=words) as error:
        cells.find_layer(cell)
    assert str(error.value).startswith("`cell` must name ") and "\n" not in str(error.value)
    assert "broken_cells" not in set(sys.modules) - modules


def test_a_registered_name(directory, registered_names):
    layer_class = cells.find_layer("cells_of_user:PeepholeLSTM")
    tfpar.layers.register_cell("peephole", layer_class)
    assert cells.find_layer("peephole") is layer_class and "peephole" in tfpar.models.CELLS
    assert tfpar.tasks.text_classification.TextClassificationConfig(cell="peephole").cell_title == "peephole"
    tfpar.layers.register_cell("peephole", tfpar.layers.LSTM)
    assert cells.find_layer("peephole") is tfpar.layers.LSTM
    for name in ("lstm", "a:b", "", None):
        with pytest.raises(ValueError, match="`name` must be a new name"):
            tfpar.layers.register_cell(name, layer_class)
    with pytest.raises(UserError, match="which is none"):
        tfpar.layers.register_cell("stock", keras.layers.LSTM)
    with pytest.raises(ValueError, match="'peephole'"):
        cells.find_layer("peepholes")


def test_models_of_a_users_layer(directory):
    layer_class = cells.find_layer("cells_of_user:PeepholeLSTM")
    text = tfpar.models.text_classifier(
        vocabulary_size=9, num_classes=2, cell=layer_class, units=2, bidirectional=False
    )
    assert isinstance(text.get_layer("recurrent_0_0"), layer_class)
    image = tfpar.models.image_classifier(
        "row_lstm", image_shape=(8, 8, 1), num_classes=2, cell="cells_of_user:PeepholeLSTM", units=2
    )
    assert isinstance(image.get_layer("recurrent_0").forward_layer, layer_class)


def test_a_translator_of_a_users_layer(directory):
    settings = dict(vocabulary_size=9, units=8, embedding_size=4, decoder_layers=2)
    networks = tfpar.models.sequence_to_sequence(cell="cells_of_user:PeepholeLSTM", **settings)
    states = [name for name in networks.encoder.output_names if "state" in name]
    assert states == ["state_0_h", "state_0_c", "state_1_h", "state_1_c"]
    with pytest.raises(ValueError, match="`cell` must be one of lstm, gru for `input_feeding`, which steps"):
        tfpar.models.sequence_to_sequence(cell="cells_of_user:PeepholeLSTM", input_feeding=True, **settings)
