"""The cell that computes nothing costs what any cell must: the same matmuls, in loops that write in place."""

import re

import pytest
import tensorflow as tf

from tfpar.bench.bare_cell import BareRecurrent
from tfpar.layers import GRU, LSTM, SimpleRNN

STEPS, UNITS = 100, 16


def compiled_gradient(layer) -> str:
    """The program of a forward and a backward pass, as XLA runs it."""
    sequences = tf.ones([4, STEPS, 8])
    layer(sequences)

    @tf.function(jit_compile=True, autograph=False)
    def gradient(sequences):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(sequences) ** 2)
        return tape.gradient(loss, [weight.value for weight in layer.weights])

    return gradient.experimental_get_compiler_ir(sequences)("optimized_hlo")


@pytest.mark.parametrize("cell, gates", [(LSTM, 4), (GRU, 3), (SimpleRNN, 1)])
def test_bare_cell(cell, gates):
    bare, real = compiled_gradient(BareRecurrent(UNITS, gates)), compiled_gradient(cell(UNITS))
    dots = [sorted(re.findall(r"= f32(\[[\d,]+\])\S* dot\(", program)) for program in (bare, real)]
    assert dots[0] == dots[1] and len(dots[0]) == 5
    assert not re.search(r"tanh|logistic|exponential", bare) and re.search("tanh", real)
    stacks = rf"({STEPS},4,{gates * UNITS}|{STEPS + 1},4,{UNITS})"
    assert not re.search(rf"= f32\[{stacks}\]\S* copy\(", bare), "a whole stack is copied at each step"
