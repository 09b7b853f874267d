"""The choice of a layer's kernel, and `explain()`."""

import pytest
import tensorflow as tf
from keras import activations

from tfpar import layers
from tfpar.layers.call_context import exporting
from tfpar.layers.recurrent.policy import Choice, choose
from tfpar.ops.activations import Activation
from tfpar.ops.gru import GRU
from tfpar.ops.lstm import LSTM

TANH, SIGMOID, RELU = (Activation(f) for f in (activations.tanh, activations.sigmoid, activations.relu))
STANDARD = LSTM(TANH, SIGMOID)
USUAL = dict(
    steps=None, unroll=False, has_initial_states=False, returns_states=False, obstacle_to_cudnn="the device is a CPU"
)

EXPORTS = [
    ("saved_model", STANDARD, {}, Choice("loop", "a SavedModel needs no gradient and runs on any device")),
    ("tflite", STANDARD, {}, Choice("fused", "TFLite has one operation for a whole LSTM")),
    ("tflite_int8", STANDARD, {}, Choice("fused", "TFLite has one operation for a whole LSTM")),
    ("tflite", GRU(TANH, SIGMOID), {}, Choice("loop", "TFLite has a fused operation only for the LSTM")),
    ("tflite", LSTM(RELU, SIGMOID), {}, Choice("loop", "TFLite's fused LSTM supports only tanh and sigmoid")),
    ("tflite", LSTM(TANH, RELU), {}, Choice("loop", "TFLite's fused LSTM supports only tanh and sigmoid")),
    (
        "tflite",
        STANDARD,
        {"has_initial_states": True},
        Choice("loop", "TFLite's fused LSTM neither takes nor returns states"),
    ),
    (
        "tflite",
        STANDARD,
        {"returns_states": True},
        Choice("loop", "TFLite's fused LSTM neither takes nor returns states"),
    ),
    (
        "tflite_int8",
        GRU(TANH, SIGMOID),
        {},
        Choice("unrolled", "TFLite has a fused operation only for the LSTM, and the converter cannot calibrate loops"),
    ),
    ("saved_model", GRU(TANH, SIGMOID), {"steps": 1}, Choice("unrolled", "one step needs no loop")),
    ("tflite", STANDARD, {"steps": 1}, Choice("unrolled", "one step needs no loop")),
    ("tflite", STANDARD, {"unroll": True}, Choice("unrolled", "unroll=True was given")),
]


@pytest.mark.parametrize("recurrence", [STANDARD, GRU(TANH, SIGMOID)], ids=["lstm", "gru"])
def test_training(recurrence):
    assert choose(recurrence, **USUAL) == Choice("training_loop", "the device is a CPU")
    assert choose(recurrence, **{**USUAL, "obstacle_to_cudnn": None}).kernel == "cudnn"
    assert choose(recurrence, **{**USUAL, "unroll": True}) == Choice("unrolled", "unroll=True was given")


@pytest.mark.parametrize("obstacle", ["the device is a CPU", None], ids=["cpu", "gpu"])
@pytest.mark.parametrize("target, recurrence, options, choice", EXPORTS)
def test_export(target, recurrence, options, choice, obstacle):
    with exporting(target):
        assert choose(recurrence, **{**USUAL, **options, "obstacle_to_cudnn": obstacle}) == choice


def test_the_target_ends_with_its_context():
    with pytest.raises(ZeroDivisionError), exporting("tflite"):
        _ = 1 / 0
    assert choose(STANDARD, **USUAL).kernel == "training_loop"


def test_layers_explain_themselves():
    layer = layers.LSTM(3, name="reader")
    with tf.device("/CPU:0"):
        assert layer.explain() == "reader: lstm by the training_loop kernel, since the device is a CPU"
    with exporting("tflite"):
        assert layer.explain() == "reader: lstm by the fused kernel, since TFLite has one operation for a whole LSTM"
        assert "neither takes nor returns states" in layers.LSTM(3, return_state=True).explain()
        assert "only for the LSTM" in layers.Bidirectional(layers.GRU(3)).explain()
    assert layers.SimpleRNN(3, unroll=True, name="r").explain() == (
        "r: rnn by the unrolled kernel, since unroll=True was given"
    )
