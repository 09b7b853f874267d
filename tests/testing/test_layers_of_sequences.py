"""Every public layer over one sequence obeys the laws that it claims, and so do stock layers that process streams."""

import keras
import pytest

from tfpar import layers
from tfpar.layers.stock_steps import find_step
from tfpar.testing import check_sequence_layer, verify_sequence_layer

STEPS, FEATURES = 17, 4
BASIC = {"shape", "graph", "XLA", "file"}
STREAM = {"causality", "steps"}
ALL = BASIC | STREAM | {"padding", "TFLite step"}

OURS = {
    "Bidirectional": (lambda: layers.Bidirectional(layers.GRU(2, return_sequences=True)), BASIC | {"padding"}),
    "CausalMaxPooling": (lambda: layers.CausalMaxPooling(3, 2), ALL),
    "CausalMeanPooling": (lambda: layers.CausalMeanPooling(3, 1), ALL),
    "CausalMeanPooling, no history": (lambda: layers.CausalMeanPooling(2), ALL - {"TFLite step"}),
    "AttentionPooling": (lambda: layers.AttentionPooling(3), BASIC | {"padding"}),
    "BatchNormalization": (lambda: layers.BatchNormalization(), BASIC | STREAM | {"padding"}),
    "Differences": (lambda: layers.Differences([2] * FEATURES), ALL),
    "Differences, indicators": (lambda: layers.Differences([2] * (FEATURES // 2), True), ALL),
    "Dropout": (lambda: layers.Dropout(0.5), BASIC | STREAM | {"padding"}),
    "GRU": (lambda: layers.GRU(3, return_sequences=True), ALL),
    "LSTM": (lambda: layers.LSTM(3), ALL),
    "LogMelSpectrogram": (lambda: log_mel(normalization="level"), BASIC),
    "LogMelSpectrogram, stream": (lambda: log_mel(normalization="none", padding="causal"), ALL - {"padding"}),
    "LogMelSpectrogram, late": (lambda: log_mel(normalization="none"), BASIC | STREAM),
    "MLSTM": (lambda: layers.MLSTM(4, num_heads=2, return_sequences=True), ALL),
    "MaskedConvolution": (lambda: layers.MaskedConvolution(3, 3, 2, padding="causal"), ALL),
    "MaskedConvolution, batch": (lambda: layers.MaskedConvolution(3, 3, 1, "causal", "batch"), ALL),
    "MaskedConvolution, late": (lambda: layers.MaskedConvolution(3, 4), BASIC | STREAM | {"padding"}),
    "MaskedConvolution, strides": (lambda: layers.MaskedConvolution(3, 5, 2), BASIC | {"padding"}),
    "MaxPooling": (lambda: layers.MaxPooling(), ALL),
    "MeanPooling": (lambda: layers.MeanPooling(), ALL),
    "MinGRU": (lambda: layers.MinGRU(3, return_sequences=True), ALL),
    "MinLSTM": (lambda: layers.MinLSTM(3, return_sequences=True), ALL),
    "ParaGRU": (lambda: layers.ParaGRU(3, return_sequences=True), ALL),
    "ParaLSTM": (lambda: layers.ParaLSTM(3, return_sequences=True), ALL),
    "RGLRU": (lambda: layers.RGLRU(4, num_heads=2, return_sequences=True), ALL),
    "SimpleRNN": (lambda: layers.SimpleRNN(3, return_sequences=True), ALL),
    "Standardization": (lambda: layers.Standardization([1] * FEATURES, [2] * FEATURES), BASIC | STREAM | {"padding"}),
    "Unstandardization": (lambda: layers.Unstandardization([1] * FEATURES, [2] * FEATURES), BASIC | STREAM),
}  # fmt: skip
OTHERS = {  # of which the checker knows no inputs
    "Attention": "two sequences",
    "InputFeeding": "two sequences",
    "RecurrentLayer": "abstract",
    "StepLayer": "abstract",
    "TokenDropout": "integers",
}

K = keras.layers
STOCK = {  # with steps of `tfpar.layers.stock_steps`, and their latency
    "AveragePooling1D": (lambda: K.AveragePooling1D(3, 1), 2),
    "AveragePooling1D, blocks": (lambda: K.AveragePooling1D(2), 0),
    "BatchNormalization": (lambda: K.BatchNormalization(), 0),
    "Conv1D": (lambda: K.Conv1D(3, 3, padding="causal", dilation_rate=2), 0),
    "Conv1D, even, same": (lambda: K.Conv1D(3, 4, padding="same"), 2),
    "Conv1D, strides": (lambda: K.Conv1D(3, 3, strides=2, padding="causal"), 0),
    "Conv1D, strides, valid": (lambda: K.Conv1D(3, 4, strides=2), 1),
    "Conv1D, valid": (lambda: K.Conv1D(3, 3), 2),
    "DepthwiseConv1D": (lambda: K.DepthwiseConv1D(3, padding="same"), 1),
    "GlobalAveragePooling1D": (lambda: K.GlobalAveragePooling1D(), 0),
    "GlobalMaxPooling1D": (lambda: K.GlobalMaxPooling1D(), 0),
    "LayerNormalization": (lambda: K.LayerNormalization(), 0),
    "MaxPooling1D": (lambda: K.MaxPooling1D(2), 0),
    "SeparableConv1D": (lambda: K.SeparableConv1D(3, 3), 2),
}


def log_mel(**options):
    return layers.LogMelSpectrogram(rate_hz=8000, hop=20, bands=8, **options)


def shape_for(layer):
    return (STEPS, layer.hop if isinstance(layer, layers.LogMelSpectrogram) else FEATURES)


def test_the_table_has_every_public_layer():
    public = {
        name
        for name in layers.__all__
        if isinstance(getattr(layers, name), type) and issubclass(getattr(layers, name), (K.Layer, layers.StepLayer))
    }
    assert public == {name.split(",")[0] for name in OURS} | set(OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_our_layers_pass(name):
    make, laws = OURS[name]
    layer = make()
    assert set(verify_sequence_layer(layer, shape_for(layer))) == laws


@pytest.mark.slow
@pytest.mark.parametrize("name", STOCK)
def test_stock_layers_have_steps(name):
    make, latency = STOCK[name]
    violations = check_sequence_layer(make(), (STEPS, FEATURES), ("causality", "steps"))
    assert violations == {"causality": None, "steps": None}
    layer = make()
    layer.build((None, None, FEATURES))
    assert find_step(layer, (None, None, FEATURES)).latency == latency


@pytest.mark.parametrize("name", ["CausalMaxPooling", "MaskedConvolution", "MeanPooling", "LogMelSpectrogram, late"])
def test_steps_equal_the_whole(name):
    layer = OURS[name][0]()
    laws = ("shape", "causality", "steps")
    assert not any(check_sequence_layer(layer, shape_for(layer), laws).values())


@pytest.mark.parametrize(
    "name", ["Conv1D, strides", "Conv1D, even, same", "Conv1D, strides, valid", "GlobalMaxPooling1D"]
)
def test_stock_steps_equal_the_whole(name):
    assert not any(check_sequence_layer(STOCK[name][0](), (STEPS, FEATURES), ("causality", "steps")).values())
