"""The evaluation of a model's layers, and of recipes."""

import keras
import pytest

import tfpar
from tfpar import cell_names, layers
from tfpar.errors import UserError
from tfpar.layers.recurrent.cells import CELLS, set_evaluation
from tfpar.tasks.text_classification import TextClassification, TextClassificationConfig


def test_every_layer_supports_some_of_the_known_evaluations():
    known = {name: set(cell.layer.EVALUATIONS) for name, cell in CELLS.items()}
    assert set().union(*known.values()) == set(cell_names.EVALUATIONS)
    assert all({"auto", "sequential"} <= evaluations for evaluations in known.values())


def test_it_is_set_for_all_layers_of_a_model():
    x = inputs = keras.Input((5, 3))
    x = layers.Bidirectional(layers.MinGRU(2, return_sequences=True))(x)
    model = keras.Model(inputs, layers.RGLRU(2)(x))
    set_evaluation(model, "sequential")
    found = [layer for layer in tfpar.keras_private.flatten_layers(model) if isinstance(layer, layers.RecurrentLayer)]
    assert [layer.evaluation for layer in found] == ["sequential"] * 3
    with pytest.raises(ValueError, match="`evaluation` must be one of auto, sequential, scan for MinGRU; got 'newton'"):
        set_evaluation(model, "newton")


def test_a_recipe_refuses_one_that_its_cell_does_not_support():
    config = TextClassificationConfig(smoke=True, cell="lstm", evaluation="scan")
    with pytest.raises(UserError, match="`evaluation` must be one of auto, .* for LSTM; got 'scan'. Pass 'auto'"):
        tfpar.tasks.run(TextClassification, config)


@pytest.mark.slow
@pytest.mark.parametrize("cell, evaluation", [("min_gru", "scan"), ("mlstm", "auto"), ("para_lstm", "newton")])
def test_a_recipe_trains_and_exports(cell, evaluation, tmp_path):
    config = TextClassificationConfig(smoke=True, cell=cell, evaluation=evaluation, export_dir=str(tmp_path))
    result = tfpar.tasks.run(TextClassification, config.replace(export=("saved_model", "float32", "dynamic")))
    assert result["cell"] == cell
    written = [export["format"] for export in result["exports"] if "refused" not in export]
    assert written[:2] == ["saved_model", "float32"]
