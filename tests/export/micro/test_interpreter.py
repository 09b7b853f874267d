"""Files for microcontrollers, in TFLite Micro itself: as close as in LiteRT, in the smallest arena."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import tfpar
from tfpar.errors import MissingExtraError, UserError
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.micro.interpreter import MicroModel
from tfpar.export.micro.interpreter_process import run_in_micro
from tfpar.tasks.text_classification.embedding_cut import cut_at_embeddings

GENERATOR = np.random.default_rng(0)


def sequence_classifier(shape, layers):
    """float "rows" -> the layers -> "classes", with weights that give different outputs."""
    keras.utils.set_random_seed(1)
    rows = keras.Input(shape, name="rows")
    x = rows
    for layer in layers:
        x = layer(x)
    wide = keras.initializers.VarianceScaling(30.0)
    return keras.Model(rows, keras.layers.Dense(10, "softmax", kernel_initializer=wide, name="classes")(x))


def left_for_micro(model, path, rows, **options):
    """(report, content of the file)."""
    calibration = {model.inputs[0].name: rows}
    report = tfpar.export.tflite(model, path, "int8", calibration, target="micro", **options)
    return report, path.read_bytes()


MODELS = {
    "image": lambda: sequence_classifier((28, 28), [tfpar.layers.LSTM(32)]),
    "speech": lambda: sequence_classifier(
        (50, 40), [tfpar.layers.LSTM(12, return_sequences=True), tfpar.layers.LSTM(8)]
    ),
    "gru": lambda: sequence_classifier((6, 4), [tfpar.layers.Bidirectional(tfpar.layers.GRU(4))]),
}
FORMS = {"image": "fused", "speech": "fused", "gru": "unrolled"}


@pytest.fixture(scope="module", params=list(MODELS))
def exported(request, tmp_path_factory):
    """(name, model, rows, path, report, content)."""
    model = MODELS[request.param]()
    rows = GENERATOR.normal(size=(48, *model.inputs[0].shape[1:])).astype(np.float32)
    path = tmp_path_factory.mktemp("micro") / "model.int8.tflite"
    return request.param, model, rows, path, *left_for_micro(model, path, rows)


def test_it_runs_in_micro_and_agrees(exported):
    name, model, rows, path, report, content = exported
    assert [(path.parent / file).exists() for file in report["c_array"]] == [True, True]
    expected = model.predict(rows, verbose=0)
    micro = MicroModel(content, report["arena_bytes"])
    found = np.concatenate([micro(rows=row[None])["classes"] for row in rows])
    assert found.dtype == np.float32 and np.ptp(expected) > 0.2
    assert np.max(np.abs(found - expected)) < 0.05
    assert np.mean(found.argmax(-1) == expected.argmax(-1)) > 0.9
    assert report["micro_max_abs_error"] == pytest.approx(np.max(np.abs(found - expected)[:32]), abs=1e-6)
    assert report["form"] == FORMS[name] and "TFLite Micro" in report["form_reason"]


def test_litert_agrees_on_the_same_file(exported):
    _, _, rows, path, report, content = exported
    file = TFLiteModel(path)
    assert {str(dtype) for _, dtype in (*file.inputs.values(), *file.outputs.values())} == {"int8"}
    micro = MicroModel(content, report["arena_bytes"])
    differences = [np.abs(micro(rows=row[None])["classes"] - file(rows=row[None])["classes"]) for row in rows[:12]]
    assert np.max(differences) < 8.5 / 256


def test_states_are_reset_between_runs(exported):
    _, _, rows, _, report, content = exported
    micro = MicroModel(content, report["arena_bytes"])
    first, _, again = (micro(rows=rows[i : i + 1])["classes"] for i in (0, 1, 0))
    np.testing.assert_array_equal(first, again)


def test_the_arena_is_the_smallest(exported):
    *_, path, report, _ = exported
    program = (
        "import sys, pathlib, numpy as np; from tfpar.export.micro.interpreter import MicroModel\n"
        "model = MicroModel(pathlib.Path(sys.argv[1]).read_bytes(), int(sys.argv[2]))\n"
        "model(rows=np.zeros(model.inputs['rows'].shape, np.float32))"
    )
    size = report["arena_bytes"]
    sizes = {
        n: subprocess.run([sys.executable, "-c", program, path, str(n)], capture_output=True) for n in (size, size - 16)
    }
    assert sizes[size].returncode == 0 and sizes[size - 16].returncode != 0


def test_inputs_that_do_not_fit(exported):
    *_, report, content = exported
    with pytest.raises(UserError, match=r"'rows' must have the shape \(1, \d+, \d+\); got \(2, 3\)"):
        MicroModel(content, report["arena_bytes"]).set_input("rows", np.zeros((2, 3)))


@pytest.fixture(scope="module")
def text(build, tmp_path_factory):
    """(model of tokens, table, content of what follows, report): bidirectional, padded, maximum over valid steps."""
    model = build(tfpar.layers.LSTM, depth=1)
    table, rest = cut_at_embeddings(model)
    tokens = GENERATOR.integers(1, len(table), (64, 8)) * (np.arange(8) < GENERATOR.integers(1, 9, (64, 1)))
    path = tmp_path_factory.mktemp("micro") / "model.int8.tflite"
    report = tfpar.export.tflite(
        rest, path, "int8", calibration={"embedded": table[tokens]}, sequence_length=8, target="micro", padding="right"
    )
    return model, table, path.read_bytes(), report


def test_the_cut_model_is_the_model(text, rows):
    model, table, *_ = text
    _, rest = cut_at_embeddings(model)
    assert rest.input.shape == (None, None, table.shape[1]) and rest.output_names == ["logits"]
    empty = np.zeros_like(rows[:1])
    for tokens in (rows, empty):
        np.testing.assert_array_equal(rest(table[tokens]), model(tokens))


def test_padding_changes_nothing(text, rows):
    model, table, content, _ = text
    found = run_in_micro(content, {"embedded": table[rows][:, None]}).outputs["logits"][:, 0]
    expected = np.concatenate([model(row[None, row > 0]) for row in rows])
    assert np.max(np.abs(found - expected)) < 0.05 * np.ptp(expected)


def test_hidden_values_have_one_scale(text):
    """The state is seen by calibration after the last step only, where it may be small."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(text[2], 0)
    (graph,) = model.subgraphs
    lstms = [operator for operator in graph.operators if operator.intermediates is not None]
    assert len(lstms) == 2
    for lstm in lstms:
        tensors = (lstm.outputs[0], lstm.inputs[18], lstm.intermediates[4])
        assert len({float(graph.tensors[index].quantization.scale[0]) for index in tensors}) == 1


def test_models_that_cannot_be_cut(dense):
    with pytest.raises(UserError, match="needs some, each with mask_zero=True"):
        cut_at_embeddings(dense)
    tokens = keras.Input((4,), dtype="int32")
    x = keras.layers.Embedding(9, 4, mask_zero=True)(tokens)
    counted = keras.layers.Lambda(lambda x: keras.ops.cast(x, "float32")[:, :, None])(tokens)
    model = keras.Model(tokens, tfpar.layers.MaxPooling()(keras.layers.Concatenate()([x, counted])))
    with pytest.raises(UserError, match="another layer reads the tokens too"):
        cut_at_embeddings(model)


def test_an_operation_that_micro_lacks_is_named(tmp_path):
    model = sequence_classifier((5, 3), [keras.layers.Masking(), tfpar.layers.LSTM(4)])
    rows = GENERATOR.normal(size=(8, 5, 3)).astype(np.float32)
    with pytest.raises(UserError, match="it has no operation REDUCE_ANY. Use quantize='int8', .*another target"):
        left_for_micro(model, tmp_path / "model.tflite", rows, form="fused")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"streaming": True}, {"sequence_length": [4, 8]}])
def test_one_signature(dense, tmp_path, options):
    with pytest.raises(UserError, match="TFLite Micro runs only the first signature of a file"):
        tfpar.export.tflite(dense, tmp_path / "model.tflite", target="micro", **options)


def test_without_tflite_micro(dense, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tfpar\[micro\]'"):
        tfpar.export.tflite(dense, tmp_path / "model.tflite", target="micro")


def test_content_that_is_no_model():
    with pytest.raises(UserError, match="not a TFLite model"):
        MicroModel(b"not a model at all", 1000)


def test_runs_that_take_too_long(text):
    _, table, content, _ = text
    with pytest.raises(UserError, match="did not finish within 0 s"):
        run_in_micro(content, {"embedded": np.zeros((1, 1, 8, table.shape[1]), np.float32)}, timeout_s=0.01)
