"""GRU and LSTM with `evaluation="newton"` equal those with `evaluation="sequential"`, or are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from running import assert_all_close, forward_and_gradients

from tfpar import layers
from tfpar.layers.recurrent.cells import set_evaluation

BATCH, STEPS, FEATURES, UNITS = 3, 12, 4, 5
CELLS = {"gru": (layers.GRU, {}), "gru_reset_before": (layers.GRU, {"reset_after": False}), "lstm": (layers.LSTM, {})}
RARE = {"go_backwards": True, "zero_output_for_mask": True}


def make_layer(cell, evaluation="newton", scale=1.0, **options):
    layer_class, own = CELLS[cell]
    layer = layer_class(UNITS, seed=1, evaluation=evaluation, bias_initializer="glorot_normal", **own, **options)
    layer.build((None, None, FEATURES))
    generator = np.random.default_rng(0)
    weights = [generator.normal(0, 0.4, weight.shape) for weight in layer.get_weights()]
    layer.set_weights([weights[0], scale * weights[1], *weights[2:]])
    return layer


def draw_inputs(steps=STEPS):
    return np.random.default_rng(steps).normal(size=(BATCH, steps, FEATURES)).astype("float32")


def draw_states(layer):
    return [np.random.default_rng(7).normal(size=(BATCH, size)).astype("float32") for size in layer.state_size]


@pytest.mark.parametrize(
    "cell, scale, way, options",
    [
        ("gru", 1.0, "xla", {}),
        ("lstm", 1.0, "graph", RARE),
        ("lstm", 20.0, "graph", {}),  # chaotic: a loop runs
        *(
            pytest.param(cell, scale, way, RARE, marks=pytest.mark.slow)
            for cell in CELLS
            for scale in (1.0, 20.0)
            for way in ("eager", "xla")
        ),
    ],
)
def test_equals_the_sequential_evaluation(cell, scale, way, options):
    mask = tf.constant(np.random.default_rng(3).random((BATCH, STEPS)) < 0.7)
    results = []
    for evaluation in ("newton", "sequential"):
        layer = make_layer(cell, evaluation, scale, return_sequences=True, return_state=True, **options)
        results.append(forward_and_gradients(layer, draw_inputs(), way, draw_states(layer), mask=mask))
    for ours, theirs in zip(*results, strict=True):
        assert_all_close(ours, theirs, atol=1e-5 if scale == 1 else 1e-4, rtol=1e-4)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_no_steps_one_step_and_only_masked_steps(cell):
    layer = make_layer(cell, return_sequences=True, return_state=True)
    states = draw_states(layer)
    sequence, *final = layer(draw_inputs(0), initial_state=states)
    assert sequence.shape == (BATCH, 0, UNITS)
    assert_all_close(final, states, atol=0)
    expected = make_layer(cell, "sequential", return_sequences=True, return_state=True)(draw_inputs(1), states)
    assert_all_close(layer(draw_inputs(1), initial_state=states), expected)
    inputs = np.full((BATCH, STEPS, FEATURES), np.nan, "float32")
    _, *final = layer(inputs, initial_state=states, mask=np.zeros((BATCH, STEPS), bool))
    assert_all_close(final, states, atol=0)


def test_unknown_numbers_of_rows_and_steps():
    layer = make_layer("lstm")
    function = tf.function(layer, input_signature=[tf.TensorSpec((None, None, FEATURES))], autograph=False)
    expected = make_layer("lstm", "sequential")
    np.testing.assert_array_equal(function(draw_inputs(0)), 0)
    for steps in (1, STEPS):
        assert_all_close([function(draw_inputs(steps))], [expected(draw_inputs(steps))])


@pytest.mark.slow
def test_bfloat16_computes_in_float32():
    layer, wide = make_layer("lstm", dtype="mixed_bfloat16"), make_layer("lstm", "sequential")
    output = layer(draw_inputs())
    assert output.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(output, tf.float32), wide(draw_inputs()), atol=0.03)


def test_the_choice_is_explained():
    with tf.device("/CPU:0"):
        assert "gru by the training_loop kernel" in make_layer("gru", "auto").explain()
        layer = make_layer("gru")
        reason = "evaluation='newton' was given; a loop runs if Newton's iterations do not converge"
        assert layer.explain().endswith(f"quasi_newton kernel, since {reason}")
        assert "; here it converges in " in layer.explain(draw_inputs())
        chaotic = make_layer("gru", scale=20.0).explain(draw_inputs())
        assert "here a loop runs, since the largest Lyapunov exponent is about " in chaotic
        assert chaotic.endswith(" per step, which is not negative")
        assert "converges" not in make_layer("gru", "sequential").explain(draw_inputs())
        assert "; here it converges in " in layers.GRU(3, evaluation="newton").explain(draw_inputs())  # not built yet


def test_it_is_stored_in_files(tmp_path):
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), layers.Bidirectional(make_layer("lstm"))])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].forward_layer.evaluation == "newton"
    assert_all_close([loaded(draw_inputs())], [model(draw_inputs())], atol=0)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"unroll": True},
            "`unroll` must not be True with evaluation='newton', which runs all steps at once; got both",
        ),
        (
            {"recurrent_dropout": 0.1},
            "`recurrent_dropout` must not be 0.1 with evaluation='newton'.*Pass evaluation='auto'",
        ),
        ({"use_cudnn": True}, "`use_cudnn` must not be True with evaluation='newton'"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        layers.LSTM(UNITS, evaluation="newton", **options)
    if "use_cudnn" not in options:
        model = keras.Sequential([keras.Input((STEPS, FEATURES)), layers.LSTM(UNITS, **options)])
        with pytest.raises(ValueError, match=message):
            set_evaluation(model, "newton")
        model.layers[0].evaluation = "newton"
        with pytest.raises(ValueError, match=message):
            model.layers[0](draw_inputs())
