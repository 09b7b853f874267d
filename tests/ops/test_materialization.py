"""The time loop as XLA for CPUs compiles it: no stack of all steps is copied, and an iteration is a few kernels."""

import re

import pytest
import tensorflow as tf
from recurrences import RECURRENCES

from tfpar.ops import gru, materialization, time_loop
from tfpar.ops.recurrence import RecurrentWeights

TIME, BATCH, UNITS = 13, 3, 8


def loop_bodies(name, dtype="float32", masked=False, dropout=False, **options):
    """Return the instructions in the bodies of the compiled loops, forward and backward."""
    recurrence = RECURRENCES[name]
    gates = recurrence.num_gates * UNITS

    def function(x_proj, kernel, bias):
        weights = RecurrentWeights(kernel, bias if type(recurrence) is gru.GRU else None)
        states = (tf.zeros((BATCH, UNITS), dtype),) * recurrence.num_states
        mask = tf.sequence_mask([13, 4, 0], TIME)
        optional = {"mask": tf.transpose(mask)} if masked else {}
        if dropout:
            optional["dropout"] = tf.cast(x_proj[0, :, :UNITS] > 0, dtype)
        with tf.GradientTape() as tape:
            tape.watch([x_proj, kernel])
            sequence, final = time_loop.time_loop(recurrence, x_proj, states, weights, **optional, **options)
            loss = tf.reduce_sum(final[0]) + (0 if sequence is None else tf.reduce_sum(sequence**2))
        return tape.gradient(loss, [x_proj, kernel])

    shapes = [(TIME, BATCH, gates), (UNITS, gates), (gates,)]
    compiled = tf.function(function, jit_compile=True, autograph=False)
    text = compiled.experimental_get_compiler_ir(*[tf.TensorSpec(shape, dtype) for shape in shapes])("optimized_hlo")
    names = re.findall(r" while\(.*body=(%[\w.-]+)", text)
    assert len(names) == 2
    return [re.search(rf"^{re.escape(body)} .*?^}}", text, re.M | re.S)[0].splitlines()[1:-1] for body in names]


def kernels(body):
    free = r" (parameter|constant|get-tuple-element|tuple|bitcast)\("
    return [line for line in body if not re.search(free, line)]


def copies_of_stacks(bodies):
    return [line for body in bodies for line in body if re.search(r"\w+\[1[34],.* copy\(", line)]


# Opposite ones: both common dtypes, masks and directions. The other combinations are slow.
FAST_VARIANTS = [("float32", False, False), ("bfloat16", True, True)]
VARIANTS = [
    pytest.param(
        dtype,
        masked,
        go_backwards,
        id=f"{dtype}-{'masked' if masked else 'unmasked'}-{'backwards' if go_backwards else 'forwards'}",
        marks=() if (dtype, masked, go_backwards) in FAST_VARIANTS else pytest.mark.slow,
    )
    for dtype in ("float32", "bfloat16", "float16")
    for masked in (False, True)
    for go_backwards in (False, True)
]


@pytest.mark.parametrize("dtype, masked, go_backwards", VARIANTS)
@pytest.mark.parametrize("name", RECURRENCES)
def test_no_stack_is_copied(name, dtype, masked, go_backwards):
    bodies = loop_bodies(name, dtype, masked, dropout=masked, go_backwards=go_backwards)
    assert copies_of_stacks(bodies) == []


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_without_materialization_stacks_are_copied(name, monkeypatch):
    """The reason for materialization: remove it when this fails."""
    monkeypatch.setattr(time_loop, "make_materializer", lambda counter: materialization.identity)
    assert copies_of_stacks(loop_bodies(name))


@pytest.mark.parametrize("name, forward, backward", [("simple_rnn", 5, 6), ("lstm", 8, 8), ("gru", 8, 8)])
def test_an_iteration_is_a_few_kernels(name, forward, backward):
    """XLA runs up to eight kernels sequentially."""
    bodies = loop_bodies(name, returns_sequence=False)
    assert [len(kernels(body)) for body in bodies] == [forward, backward]


def test_a_tensor_is_unchanged():
    given = tf.constant([1.5, float("inf"), -0.0, 1e-30])
    for counter in (-1, 0, 1, 7):
        tf.debugging.assert_equal(materialization.make_materializer(tf.constant(counter))(given), given)
