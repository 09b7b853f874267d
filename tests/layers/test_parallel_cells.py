"""Layers that run in parallel over time: equations, evaluations, masks, states, both directions, files."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from parallel_cells import (
    BATCH,
    CELLS,
    FEATURES,
    PARALLEL,
    TIME,
    UNITS,
    draw_inputs,
    draw_states,
    make_layer,
    mlstm,
    rg_lru,
)
from running import assert_all_close, forward_and_gradients

import tfpar
from tfpar import layers
from tfpar.layers.call_context import exporting
from tfpar.ops.inference_loop import unrolled_loop
from tfpar.ops.mlstm import MLSTM, chunkwise_mlstm

MASKS = {
    "no_mask": None,
    "masked": np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool),
}


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in CELLS if name != "MinGRU"]
CASES = [  # way, mask, go_backwards, with_states
    *(("parallel", mask, *flags) for mask in MASKS for flags in itertools.product((False, True), repeat=2)),
    ("sequential", "masked", True, True),
    ("unrolled", "masked", False, True),
]


@pytest.mark.parametrize("way, mask, go_backwards, with_states", CASES)
@pytest.mark.parametrize("name", CELLS)
def test_equals_its_equations(name, way, mask, go_backwards, with_states):
    evaluation = {"parallel": PARALLEL[name], "sequential": "sequential", "unrolled": "auto"}[way]
    options = {"return_sequences": True, "return_state": True, "go_backwards": go_backwards}
    layer = make_layer(name, evaluation=evaluation, unroll=way == "unrolled", **options)
    given = {"mask": MASKS[mask], "initial_state": draw_states(layer) if with_states else None}
    expected, _, states = CELLS[name](draw_inputs(), *layer.get_weights(), go_backwards=go_backwards, **given)
    assert_all_close(layer(draw_inputs(), **given), [expected, *states])


@pytest.mark.parametrize("options", [{"use_bias": False}, {"zero_output_for_mask": True}], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_options(name, options):
    layer = make_layer(name, **options)
    options = {key: value for key, value in options.items() if key != "use_bias"}
    _, last, _ = CELLS[name](draw_inputs(), *layer.get_weights(), mask=MASKS["masked"], **options)
    assert_all_close([layer(draw_inputs(), mask=MASKS["masked"])], [last])


@pytest.mark.parametrize("way", ["graph", "xla"])
@pytest.mark.parametrize("name", ["MinGRU", *SLOW])
def test_gradients_by_each_evaluation(name, way):
    def run(evaluation, way):
        layer = make_layer(name, return_sequences=True, return_state=True, evaluation=evaluation)
        return forward_and_gradients(layer, draw_inputs(), way, draw_states(layer), mask=MASKS["masked"])

    outputs, gradients = run("sequential", "eager")
    for evaluation in ("auto", PARALLEL[name]):
        ours, by_tensors = run(evaluation, way)
        assert_all_close(ours, outputs)
        assert_all_close(by_tensors, gradients)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.parametrize("name", CELLS)
def test_nan_at_masked_steps_changes_nothing(name):
    layer = make_layer(name, return_sequences=True)
    with_nan = np.where(MASKS["masked"][:, :, None], draw_inputs(), np.nan)
    results = forward_and_gradients(layer, with_nan, mask=MASKS["masked"])
    clean = forward_and_gradients(layer, np.nan_to_num(with_nan), mask=MASKS["masked"])
    for ours, theirs in zip(results, clean, strict=True):
        assert_all_close(ours, theirs, atol=0)


@pytest.mark.parametrize("name", CELLS)
def test_bidirectional_is_two_layers(name):
    layer = layers.Bidirectional(getattr(layers, name)(UNITS, return_sequences=True))
    outputs = layer(draw_inputs(), mask=MASKS["masked"])
    half = len(layer.get_weights()) // 2
    for number, go_backwards in enumerate((False, True)):
        weights = layer.get_weights()[number * half : (number + 1) * half]
        options = {"mask": MASKS["masked"], "go_backwards": go_backwards, "zero_output_for_mask": True}
        expected, _, _ = CELLS[name](draw_inputs(), *weights, **options)
        expected = expected[:, ::-1] if go_backwards else expected
        assert_all_close([outputs[:, :, number * UNITS : (number + 1) * UNITS]], [expected])


@pytest.mark.parametrize("name", CELLS)
def test_blocks_equal_the_whole(name):
    whole = make_layer(name, return_sequences=True)(draw_inputs())
    layer = make_layer(name, return_sequences=True, stateful=True)
    assert_all_close([np.concatenate([layer(draw_inputs()[:, :2]), layer(draw_inputs()[:, 2:])], 1)], [whole])
    layer, steps = make_layer(name), []
    states = layer.get_initial_state(BATCH)
    for t in range(TIME):
        output, states = layer.step(draw_inputs()[:, t : t + 1], states)
        steps.append(output)
    assert_all_close([np.stack(steps, 1)], [whole])


def make_model(name):
    inputs = keras.Input((TIME, FEATURES), name="x")
    x = layers.Bidirectional(getattr(layers, name)(UNITS, return_sequences=True))(inputs)
    return keras.Model(inputs, getattr(layers, name)(UNITS, dropout=0.1)(x))


@pytest.mark.parametrize("name", ["MinGRU", *SLOW])
def test_files(name, tmp_path):
    model, x = make_model(name), draw_inputs()
    model.save(tmp_path / "model.keras")
    assert_all_close([keras.saving.load_model(tmp_path / "model.keras")(x)], [model(x)], atol=0)
    tfpar.export.saved_model(model, tmp_path / "saved_model")
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    assert_all_close(list(loaded.signatures["serving_default"](x=tf.constant(x)).values()), [model(x)])
    report = tfpar.export.tflite(model, tmp_path / "model.tflite")
    assert report["max_abs_error"] < 1e-5 and ("WHILE" in report["ops"]) == name.startswith("Para")


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["dynamic", "float16", "int8"])
@pytest.mark.parametrize("name", CELLS)
def test_quantized_files(name, quantize, tmp_path):
    calibration = [{"x": row[None]} for row in draw_inputs(batch=16)]
    report = tfpar.export.tflite(make_model(name), tmp_path / "m.tflite", quantize=quantize, calibration=calibration)
    assert report["max_abs_error"] < {"float16": 2e-3}.get(quantize, 0.05)


def test_the_choice_is_explained():
    layer = layers.MinGRU(3, name="reader")
    with tf.device("/CPU:0"):
        assert layer.explain() == (
            "reader: min_gru by the chunked_scan kernel, since the recurrence is linear in its state, so chunks of "
            "steps run side by side"
        )
        assert "associative_scan kernel, since the recurrence is linear" in make_layer("MinGRU").explain()
        sequential = layers.MinGRU(3, evaluation="sequential")
        assert "sequential_scan kernel, since evaluation='sequential' was given" in sequential.explain()
        assert "chunked_scan" in layers.MinGRU(3, evaluation="scan").explain()
    with tf.device("/GPU:0"):
        assert "associative_scan kernel, since the recurrence is linear in its state, and a GPU" in layer.explain()
    with exporting("saved_model"):
        assert "chunked_scan" in layer.explain()
    with exporting("tflite_int8", form="unrolled"):
        assert "unrolled" in layer.explain()


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("name", CELLS)
def test_no_steps_and_one(name, steps):
    layer = make_layer(name, return_sequences=True, return_state=True)
    sequence, *states = layer(draw_inputs(time=steps), initial_state=draw_states(layer))
    assert sequence.shape == (BATCH, steps, UNITS)
    assert_all_close(states[:1], [sequence[:, -1]]) if steps else assert_all_close(states, draw_states(layer))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: layers.ParaGRU(3, recurrent_dropout=0.1), "`recurrent_dropout` must be 0 for ParaGRU.*Use `dropout`"),
        (lambda: layers.ParaGRU(3, evaluation="scan"), "`evaluation` must be one of auto, sequential, newton for Para"),
        (lambda: layers.RGLRU(4, num_heads=3), "`units` must be a multiple of `num_heads`, 3; got 4"),
        (lambda: layers.RGLRU(4, max_decay=1.0), r"`min_decay` < `max_decay` must be in \(0, 1\); got 0.9 and 1.0"),
        (lambda: layers.MLSTM(4, num_heads=3), "`units` must be a multiple of `num_heads`, 3; got 4"),
        (lambda: layers.MinGRU(3, recurrent_dropout=0.1), "`recurrent_dropout` must be 0 for MinGRU.*Use `dropout`"),
        (lambda: layers.MinGRU(3, evaluation="newton"), "`evaluation` must be .* sequential, scan for MinGRU; got"),
        (lambda: layers.LSTM(3, evaluation="scan"), "`evaluation` must be one of auto, .* for LSTM; got 'scan'"),
        (
            lambda: make_layer("MinGRU")(draw_inputs(), initial_state=[np.zeros((4, 2))]),
            r"`initial_state` of .* must hold tensors of shapes \(batch, 3\); got \(4, 2\)",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("steps, chunk", [(1, 64), (5, 2), (20, 8), (16, 8)])
def test_mlstm_in_chunks_equals_step_by_step(steps, chunk):
    recurrence = MLSTM(heads=2, key_size=3, value_size=4)
    generator = np.random.default_rng(steps)
    x_proj = generator.normal(size=(BATCH, steps, recurrence.projection_size)) * 3
    states = tuple(generator.normal(size=(BATCH, size)) for size in recurrence.state_sizes)
    mask = generator.random((BATCH, steps)) < 0.7

    def run(*tensors):
        x_proj, *states = tensors
        chunked, final = chunkwise_mlstm(recurrence, x_proj, tuple(states), mask, chunk)
        rows, states = unrolled_loop(recurrence, tf.transpose(x_proj, [1, 0, 2]), states, None, tf.transpose(mask))
        return [chunked, *final], [tf.transpose(rows, [1, 0, 2]), *states]

    tensors = [tf.constant(array) for array in (x_proj, *states)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tensors)
        both = run(*tensors)
        losses = [sum(tf.reduce_sum(tf.sin(output)) for output in outputs) for outputs in both]
    assert_all_close(*both, atol=1e-12)
    assert_all_close(*(tape.gradient(loss, tensors) for loss in losses), atol=1e-10)


def test_mlstm_with_heads_and_initial_memories():
    layer = layers.MLSTM(8, num_heads=4, key_size=3)
    layer.build((None, None, FEATURES))
    kernel, bias = layer.get_weights()
    assert not kernel[:, -8:].any() and kernel[:, :-8].all()
    np.testing.assert_allclose(bias[-4:], [3, 4, 5, 6])
    _, last, _ = mlstm(draw_inputs(), kernel, bias, heads=4, key_size=3, value_size=2)
    assert_all_close([layer(draw_inputs())], [last])


def test_initial_decays_of_rg_lru_are_in_their_range():
    layer = layers.RGLRU(400, num_heads=4, min_decay=0.5, max_decay=0.9)
    layer.build((None, None, FEATURES))
    decays = np.exp(-np.log1p(np.exp(layer.decay.numpy())))
    assert 0.5 <= decays.min() < 0.55 and 0.88 < decays.max() <= 0.9
    assert np.mean(decays**2) == pytest.approx((0.5**2 + 0.9**2) / 2, abs=0.03)  # uniform in area
    assert layer.gate_kernel.shape == (4, 100, 200)


def test_rg_lru_with_heads_and_a_decay_of_almost_one():
    layer = make_layer("RGLRU", num_heads=3)
    layer.decay.assign([-30.0, -12.0, 0.0])
    _, last, _ = rg_lru(draw_inputs(), *layer.get_weights())
    (output,), gradients = forward_and_gradients(layer, draw_inputs())
    assert_all_close([output], [last], atol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
