"""The affine scan equals its recurrence in NumPy, forward and backward, by each implementation."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
from compiled_depth import entry_depth
from running import WAYS, assert_all_close

from tfpar.ops import affine_scan as module
from tfpar.ops.affine_scan import IMPLEMENTATIONS, affine_scan

BATCH, UNITS = 3, 2


def draw(steps, dtype="float64"):
    """Return a, b, the initial h, a mask and resets."""
    generator = np.random.default_rng(steps)
    a, b = generator.uniform(-1, 1, (steps, BATCH, UNITS)), generator.normal(size=(steps, BATCH, UNITS))
    masks = generator.random((2, steps, BATCH)) < [[[0.7]], [[0.1]]]
    return [array.astype(dtype) for array in (a, b, generator.normal(size=(BATCH, UNITS)))], *masks


def oracle(a, b, initial, mask=None, resets=None, go_backwards=False):
    """The recurrence, step by step, and the gradients of sum(sin(sequence)) + sum(cos(final))."""
    steps = range(len(a))[::-1] if go_backwards else range(len(a))
    h, sequence, before = initial.copy(), np.zeros_like(b), np.zeros_like(b)
    a = a if resets is None else np.where(resets[:, :, None], 0, a)
    valid = np.ones((len(a), BATCH, 1), bool) if mask is None else mask[:, :, None]
    for t in steps:
        before[t] = h
        h = np.where(valid[t], a[t] * h + b[t], h)
        sequence[t] = h
    dh, da, db = -np.sin(h), np.zeros_like(a), np.zeros_like(b)
    for t in reversed(steps):
        dh = dh + np.cos(sequence[t])
        da[t], db[t] = np.where(valid[t], dh * before[t], 0), np.where(valid[t], dh, 0)
        dh = np.where(valid[t], a[t] * dh, dh)
    return [sequence, h], [da if resets is None else np.where(resets[:, :, None], 0, da), db, dh]


def outputs_and_gradients(tensors, way="eager", signature=None, **options):
    def function(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            sequence, final = affine_scan(*tensors, **options)
            loss = tf.reduce_sum(tf.sin(sequence)) + tf.reduce_sum(tf.cos(final))
        return [sequence, final], tape.gradient(loss, tensors)

    if signature is not None:
        function = tf.function(function, autograph=False, input_signature=signature, jit_compile=way == "xla")
        return function(*map(tf.constant, tensors))
    return WAYS[way](function)(*map(tf.constant, tensors))


@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("steps", [0, 1, 7, 66])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_equals_the_recurrence(implementation, steps, go_backwards):
    tensors, mask, resets = draw(steps)
    options = dict(mask=mask, resets=resets, go_backwards=go_backwards)
    for given in ({"go_backwards": go_backwards}, options):
        outputs, gradients = outputs_and_gradients(tensors, implementation=implementation, **given)
        expected, expected_gradients = oracle(*tensors, **given)
        assert_all_close(outputs, expected, atol=1e-12, rtol=1e-12)
        assert_all_close(gradients, expected_gradients, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("way", ["graph", "xla"])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_unknown_sizes_in_one_graph(implementation, way):
    shapes = [(None, None, UNITS), (None, None, UNITS), (None, UNITS)]
    signature = [tf.TensorSpec(shape, tf.float64) for shape in shapes]
    for steps in (1, 66):
        tensors, _, _ = draw(steps)
        results = outputs_and_gradients(tensors, way, signature, implementation=implementation)
        for result, expected in zip(results, oracle(*tensors), strict=True):
            assert_all_close(result, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_blocks_and_single_steps_equal_the_whole(implementation):
    (a, b, initial), mask, resets = draw(20)
    scan = functools.partial(affine_scan, implementation=implementation)
    whole, final = scan(a, b, initial, mask=mask, resets=resets)
    for size in (1, 7):
        h, blocks = initial, []
        for start in range(0, 20, size):
            block = slice(start, start + size)
            sequence, h = scan(a[block], b[block], h, mask=mask[block], resets=resets[block])
            blocks.append(sequence)
        assert_all_close([tf.concat(blocks, 0), h], [whole, final], atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_accumulated_in_float32(implementation, dtype):
    """The sum of 2,000 ones would stop at 256 in bfloat16, and the sum of 3,000 at 2,048 in float16."""
    ones = tf.ones((3000, 1, 1), dtype)
    sequence, final = affine_scan(ones, ones, ones[0] * 0, implementation=implementation)
    assert sequence.dtype == final.dtype == dtype
    np.testing.assert_allclose(float(final[0, 0]), 3000, rtol=4e-3)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_masked_steps_may_hold_nan(implementation):
    (a, b, initial), mask, _ = draw(9)
    with_nan = [np.where(mask[:, :, None], array, np.nan) for array in (a, b)]
    results = outputs_and_gradients([*with_nan, initial], mask=mask, implementation=implementation)
    for result, expected in zip(results, oracle(a, b, initial, mask), strict=True):
        assert_all_close(result, expected, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_second_derivatives(implementation):
    (a, b, initial), _, _ = draw(5)
    a, b = tf.constant(a), tf.constant(b)

    def gradient_by_b(loop):
        with tf.GradientTape() as outer:
            outer.watch(a)
            with tf.GradientTape() as inner:
                inner.watch(b)
                loss = tf.reduce_sum(loop() ** 3)
            first = tf.reduce_sum(inner.gradient(loss, b) ** 2)
        return outer.gradient(first, a)

    def unrolled():
        h, rows = tf.constant(initial), []
        for t in range(5):
            h = a[t] * h + b[t]
            rows.append(h)
        return tf.stack(rows)

    scanned = gradient_by_b(lambda: affine_scan(a, b, initial, implementation=implementation)[0])
    assert_all_close([scanned], [gradient_by_b(unrolled)], atol=1e-11)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_without_the_sequence_the_rest_is_equal(implementation):
    tensors, mask, _ = draw(9)

    def final_and_gradients(returns_sequence):
        inputs = [tf.constant(tensor) for tensor in tensors]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            options = {"mask": mask, "implementation": implementation, "returns_sequence": returns_sequence}
            sequence, final = affine_scan(*inputs, **options)
        assert (sequence is None) != returns_sequence
        return [final, *tape.gradient(final, inputs)]

    assert_all_close(final_and_gradients(False), final_and_gradients(True), atol=1e-12)


@pytest.mark.parametrize("steps", [16, 128, pytest.param(2048, marks=pytest.mark.slow)])
def test_the_compiled_associative_scan_has_logarithmic_depth(steps):
    def gradients(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            loss = tf.reduce_sum(affine_scan(a, b, tf.zeros((2, 4)), implementation="associative")[0] ** 2)
        return tape.gradient(loss, [a, b])

    specs = [tf.TensorSpec((steps, 2, 4))] * 2
    text = tf.function(gradients, jit_compile=True, autograph=False).experimental_get_compiler_ir(*specs)(
        "optimized_hlo"
    )
    depth = entry_depth(text).operations
    assert " while(" not in text and 2 * math.log2(steps) <= depth <= 10 * math.log2(steps)


def test_the_loop_of_an_unknown_number_of_steps_has_logarithmic_depth(monkeypatch):
    iterations = []
    roll = tf.roll
    monkeypatch.setattr(module.tf, "roll", lambda *arguments, **rest: iterations.append(1) or roll(*arguments, **rest))
    module._doubling(tf.ones((1000, 1, 1)), tf.ones((1000, 1, 1)), module.DIAGONAL)
    assert len(iterations) == 2 * 10  # a and b, log2(1000) times


@pytest.mark.parametrize(
    "change, message",
    [
        ({"implementation": "parallel"}, "`implementation` must be one of sequential, chunked, associative; got 'para"),
        ({"b": np.zeros((4, BATCH, UNITS))}, r"`b` must have the shape of `a`, \(5, 3, 2\); got \(4, 3, 2\)"),
        ({"initial": np.zeros((BATCH, 1))}, r"`initial` must have the shape of a step of `a`, \(3, 2\); got \(3, 1\)"),
    ],
)
def test_refusals(change, message):
    (a, b, initial), _, _ = draw(5)
    arguments = {"a": a, "b": b, "initial": initial, **change}
    with pytest.raises(ValueError, match=message):
        affine_scan(
            **{name: value if name == "implementation" else tf.constant(value) for name, value in arguments.items()}
        )
