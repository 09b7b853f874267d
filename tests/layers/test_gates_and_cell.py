"""Every kernel of an LSTM calls `gate_module` and `memory_cell`."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from running import WAYS, assert_all_close
from table import MASKS, inputs

from tfpar import layers
from tfpar.layers.call_context import exporting
from tfpar.ops import lstm

PATHS = {
    "training_loop": ({}, None),
    "unrolled": ({"unroll": True}, None),
    "loop": ({}, "saved_model"),
    "fused": ({}, "tflite"),
}


def outputs(path, way="eager"):
    arguments, target = PATHS[path]
    layer = layers.LSTM(3, **arguments)
    layer.build((4, 5, 4))
    layer.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in layer.get_weights()])
    with exporting(target) if target else contextlib.nullcontext():
        return WAYS[way](lambda x: layer(x, mask=MASKS["masked"][[0, 3, 3, 0]]))(tf.constant(inputs()))


@pytest.mark.parametrize("name", ["gate_module", "memory_cell"])
@pytest.mark.parametrize("path", PATHS)
def test_is_called(path, name, monkeypatch):
    calls, original = [], getattr(lstm, name)
    monkeypatch.setattr(lstm, name, lambda *args: calls.append(1) or original(*args))
    outputs(path)
    assert calls


@pytest.mark.parametrize("path", PATHS)
def test_another_memory_cell_changes_the_output(path, monkeypatch):
    plain = outputs(path)
    monkeypatch.setattr(lstm, "memory_cell", lambda gates, cell, activation: (gates.output, cell))
    assert np.abs(outputs(path) - plain).max() > 0.1


@pytest.mark.parametrize("path", PATHS)
def test_all_paths_agree(path):
    assert_all_close([outputs(path, "graph")], [outputs("training_loop")])


def test_gate_module_by_hand():
    def double(x):
        return 2 * x

    gate, candidate = lstm.Activation(double), lstm.Activation(tf.negative)
    activations = lstm.GateActivations((gate, gate, candidate, gate))
    residual = lstm.gate_module(tf.constant([[1.0, 2.0, 3.0, 4.0]]), activations)
    assert residual.numpy().tolist() == [[1, 2, 3, 4]], "an unknown activation saves its input"
    assert activations.value(residual).numpy().tolist() == [[2, 4, -3, 8]]


def test_memory_cell_by_hand():
    gates = lstm.Gates(*(tf.constant([[v]]) for v in (0.5, 0.25, 4.0, 2.0)))
    h, c = lstm.memory_cell(gates, tf.constant([[8.0]]), lstm.Activation(tf.square))
    assert (h.numpy().item(), c.numpy().item()) == (2 * 16, 0.25 * 8 + 0.5 * 4)
