"""A recurrence is exported as one operation, a loop, chunks or unrolled, with the same outputs."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.errors import UserError

LENGTH, FEATURES = 23, 5  # four chunks of five steps, and three steps more
ROWS = np.random.default_rng(0).normal(size=(12, LENGTH, FEATURES)).astype(np.float32)


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)

    def make(*layers):
        inputs = x = keras.Input((None, FEATURES), name="x")
        for layer in layers:
            x = layer(x)
        return keras.Model(inputs, keras.layers.Dense(2, name="y")(x))

    return {
        "lstm": make(tfpar.layers.LSTM(6)),
        "stack": make(tfpar.layers.LSTM(6, return_sequences=True), tfpar.layers.GRU(4)),
        "bidirectional": make(tfpar.layers.Bidirectional(tfpar.layers.LSTM(4))),
        "dense": make(keras.layers.GlobalAveragePooling1D()),
    }


@pytest.fixture
def exported(models, tmp_path):
    def export(name, **options):
        path = tmp_path / "model.tflite"
        return tfpar.export.tflite(models[name], path, calibration={"x": ROWS}, **options), path

    return export


FORMS = [
    ("lstm", "fused", "fused", {"UNIDIRECTIONAL_SEQUENCE_LSTM"}, {"WHILE"}),
    ("lstm", "loop", "loop", {"WHILE"}, {"UNIDIRECTIONAL_SEQUENCE_LSTM"}),
    ("lstm", "chunked", "chunked", {"WHILE"}, {"UNIDIRECTIONAL_SEQUENCE_LSTM"}),
    ("bidirectional", "loop", "loop", {"WHILE"}, {"UNIDIRECTIONAL_SEQUENCE_LSTM"}),
    ("bidirectional", "unrolled", "unrolled", set(), {"WHILE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}),
    ("stack", "fused", "fused", {"UNIDIRECTIONAL_SEQUENCE_LSTM", "WHILE"}, set()),
    ("stack", "loop", "loop", {"WHILE"}, {"UNIDIRECTIONAL_SEQUENCE_LSTM"}),
    ("stack", "chunked", "chunked", {"WHILE"}, {"UNIDIRECTIONAL_SEQUENCE_LSTM"}),
]


@pytest.mark.parametrize("model, form, found, has, lacks", FORMS)
def test_form(exported, model, form, found, has, lacks):
    report, _ = exported(model, form=form)
    assert report["form"] == found and report["form_reason"] == "it was requested"
    assert has <= set(report["ops"]) and not lacks & set(report["ops"])
    assert report["max_abs_error"] < 1e-6


@pytest.mark.parametrize("form", ["fused", "unrolled"])
def test_int8(exported, form):
    report, _ = exported("lstm", form=form, quantize="int8")
    assert report["form"] == form and report["max_abs_error"] < 0.05


def test_16_bit_activations_are_unrolled_and_closer_than_8_bit_ones(exported):
    report, _ = exported("lstm", quantize="int16x8")
    assert report["form"] == "unrolled"
    assert report["max_abs_error"] < exported("lstm", form="unrolled", quantize="int8")[0]["max_abs_error"]


def test_a_phone_gets_the_fused_form(exported):
    report, _ = exported("lstm")
    assert report["form"] == "fused" and "target 'phone'" in report["form_reason"]


def test_a_desktop_gets_the_fastest_form_and_is_told_the_others_times(exported):
    report, _ = exported("lstm", target="desktop")
    times = dict(part.split(" ")[:2] for part in report["form_reason"].split(": ")[1].split(", "))
    assert set(times) == {"fused", "loop", "chunked", "unrolled"}
    assert min(times, key=lambda form: float(times[form])) == report["form"] or len(set(times.values())) < 4


def test_a_model_without_recurrence_has_no_form_to_choose(exported):
    assert exported("dense", target="desktop")[0]["form_reason"] == "the model has no recurrent layer"


def test_unsupported_forms_are_refused(models, exported):
    with pytest.raises(UserError, match="`form` must be one of fused, unrolled for int8; got 'loop'"):
        exported("lstm", form="loop", quantize="int8")
    with pytest.raises(UserError, match="form='unrolled' needs a static number of time steps; give `sequence_length`"):
        tfpar.export.tflite(models["lstm"], "never", form="unrolled")
    with pytest.raises(
        ValueError, match="argument `form`, expected one of .'auto', 'fused', 'loop', 'chunked', 'unrolled'"
    ):
        exported("lstm", form="rolled")
    with pytest.raises(ValueError, match="argument `target`"):
        exported("lstm", target="toaster")


def test_rows_of_a_batch_run_together(models, exported):
    report, path = exported("lstm", batch_size=4)
    file = tfpar.export.TFLiteModel(path)
    assert file.inputs["x"][0] == (4, LENGTH, FEATURES) and report["max_abs_error"] < 1e-6
    np.testing.assert_allclose(file(x=ROWS[:4])["y"], models["lstm"].predict(ROWS[:4], verbose=0), atol=1e-6)


def test_several_lengths_share_weights(models, exported):
    report, path = exported("lstm", sequence_length=[7, 23])
    assert report["signatures"] == ["length_23", "length_7", "serving_default"] and report["max_abs_error"] < 1e-6
    expected = models["lstm"].predict(ROWS[:1, :7], verbose=0)
    np.testing.assert_allclose(tfpar.export.TFLiteModel(path, "length_7")(x=ROWS[:1, :7])["y"], expected, atol=1e-6)


def test_weights_are_in_the_file_once(tmp_path):
    inputs = keras.Input((None, 64), name="x")
    model = keras.Model(inputs, tfpar.layers.LSTM(64)(inputs))
    weights = sum(4 * v.numpy().size for v in model.trainable_variables)
    sizes = [
        tfpar.export.tflite(model, tmp_path / "m.tflite", sequence_length=lengths)["bytes"]
        for lengths in ([20], [5, 10, 20])
    ]
    assert sizes[1] - sizes[0] < weights / 4
