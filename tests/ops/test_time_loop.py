"""The hand-written gradient of the time loop equals automatic differentiation through unrolled steps."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from recurrences import RECURRENCES
from running import WAYS, assert_all_close

from tfpar.ops import gru
from tfpar.ops.inference_loop import chunked_loop, inference_loop, unrolled_loop
from tfpar.ops.recurrence import RecurrentWeights
from tfpar.ops.time_loop import time_loop

TIME, BATCH, UNITS = 4, 3, 2
MASK = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]], bool)


def arguments_of(recurrence):
    generator = np.random.default_rng(0)
    gates = recurrence.num_gates * UNITS
    shapes = [(TIME, BATCH, gates), *[(BATCH, UNITS)] * recurrence.num_states, (UNITS, gates)]
    if type(recurrence) is gru.GRU:
        shapes.append((gates,))
    return [tf.constant(generator.normal(size=shape), tf.float64) for shape in shapes]


def run(loop, recurrence, tensors, **options):
    x_proj, *rest = tensors
    states, weights = rest[: recurrence.num_states], RecurrentWeights(*rest[recurrence.num_states :])
    sequence, final = loop(recurrence, x_proj, tuple(states), weights, **options)
    return [sequence, *final]


def gradients(loop, recurrence, way, **options):
    def function(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = run(loop, recurrence, tensors, **options)
            loss = sum(tf.reduce_sum(tf.sin(output + n)) for n, output in enumerate(outputs))
        return outputs, tape.gradient(loss, tensors)

    outputs, by_tensors = WAYS[way](function)(*arguments_of(recurrence))
    return [o.numpy() for o in outputs], [g.numpy() for g in by_tensors]


@pytest.mark.parametrize("dropout", [None, np.array([[0, 2], [2, 2], [2, 0.0]])], ids=["plain", "dropout"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["no_mask", "mask"])
@pytest.mark.parametrize("name", RECURRENCES)
def test_gradient(name, mask, dropout):
    options = dict(mask=mask, dropout=dropout)
    options = {key: None if value is None else tf.constant(value) for key, value in options.items()}
    outputs, by_tensors = gradients(time_loop, RECURRENCES[name], "eager", **options)
    expected, expected_by_tensors = gradients(unrolled_loop, RECURRENCES[name], "eager", **options)
    assert_all_close(outputs, expected, atol=1e-12, rtol=1e-12)
    assert_all_close(by_tensors, expected_by_tensors, atol=1e-12, rtol=1e-12)
    assert all(np.abs(g).max() > 0 for g in by_tensors)


@pytest.mark.parametrize("name", RECURRENCES)
def test_a_bias_added_within_the_steps_equals_one_added_before(name):
    x_proj, *rest = arguments_of(RECURRENCES[name])
    bias = tf.cast(tf.linspace(-1.0, 1.0, x_proj.shape[-1]), tf.float64)

    def outputs_and_gradient(x_proj, **within):
        with tf.GradientTape() as tape:
            tape.watch(bias)
            before = x_proj if within else x_proj + bias
            outputs = run(time_loop, RECURRENCES[name], [before, *rest], mask=tf.constant(MASK), **within)
            loss = sum(tf.reduce_sum(tf.sin(output + n)) for n, output in enumerate(outputs))
        return [*outputs, tape.gradient(loss, bias)]

    within = outputs_and_gradient(x_proj, bias=bias)
    assert_all_close(within, outputs_and_gradient(x_proj), atol=1e-12, rtol=1e-12)
    assert np.abs(within[-1]).min() > 0


def run_reversed(recurrence, x_proj, states, weights, mask, **options):
    """Run the loop over reversed steps, and reverse its outputs."""
    flipped = tf.reverse(x_proj, [0])
    sequence, final = time_loop(recurrence, flipped, states, weights, mask=tf.reverse(mask, [0]), **options)
    return tf.reverse(sequence, [0]), final


@pytest.mark.parametrize("way", ["eager", "xla"])
@pytest.mark.parametrize("name", ["lstm", "gru_reset_before"])
def test_backwards_each_step_has_its_own_index(name, way):
    backwards = functools.partial(time_loop, go_backwards=True)
    outputs, by_tensors = gradients(backwards, RECURRENCES[name], way, mask=tf.constant(MASK))
    expected, expected_by_tensors = gradients(run_reversed, RECURRENCES[name], "eager", mask=tf.constant(MASK))
    assert_all_close(outputs, expected, atol=1e-12)
    assert_all_close(by_tensors, expected_by_tensors, atol=1e-12)


@pytest.mark.parametrize("way", ["eager", "xla"])
def test_without_the_sequence_the_rest_is_equal(way):
    def final_of(loop):
        def function(*tensors):
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                final = run(loop, RECURRENCES["lstm"], tensors, mask=tf.constant(MASK))[1:]
                loss = sum(tf.reduce_sum(tf.sin(state + n)) for n, state in enumerate(final))
            return [*final, *tape.gradient(loss, tensors)]

        return WAYS[way](function)(*arguments_of(RECURRENCES["lstm"]))

    without = functools.partial(time_loop, returns_sequence=False)
    assert run(without, RECURRENCES["lstm"], arguments_of(RECURRENCES["lstm"]))[0] is None
    assert_all_close(final_of(without), final_of(time_loop), atol=1e-12)


@pytest.mark.parametrize("way", ["graph", "xla"])
def test_gradient_compiled(way):
    options = dict(mask=tf.constant(MASK), dropout=tf.constant([[0, 2], [2, 2], [2, 0.0]], tf.float64))
    for name in ("lstm", "gru"):
        outputs, by_tensors = gradients(time_loop, RECURRENCES[name], way, **options)
        expected, expected_by_tensors = gradients(unrolled_loop, RECURRENCES[name], "eager", **options)
        assert_all_close(outputs, expected, atol=1e-9)
        assert_all_close(by_tensors, expected_by_tensors, atol=1e-9)


@pytest.mark.parametrize("name", RECURRENCES)
def test_inference_computes_the_same_outputs(name):
    recurrence = RECURRENCES[name]
    tensors = arguments_of(recurrence)
    chunks = [functools.partial(chunked_loop, chunk=size) for size in (2, 3)]
    loops = (time_loop, inference_loop, *chunks)
    loop, *others = (run(f, recurrence, tensors, mask=tf.constant(MASK)) for f in loops)
    for other in others:
        assert_all_close(other, loop, atol=1e-12)


def test_a_row_without_valid_steps_copies_its_states_and_their_gradient():
    recurrence = RECURRENCES["lstm"]
    tensors = arguments_of(recurrence)
    states = tensors[1:3]
    with tf.GradientTape() as tape:
        tape.watch(states)
        _, h, c = run(time_loop, recurrence, tensors, mask=tf.constant(MASK))
        loss = tf.reduce_sum(2 * h[2] + 3 * c[2])
    by_h, by_c = tape.gradient(loss, states)
    np.testing.assert_array_equal([h[2], c[2]], [states[0][2], states[1][2]])
    np.testing.assert_array_equal([by_h[2], by_c[2]], [[2.0, 2.0], [3.0, 3.0]])
