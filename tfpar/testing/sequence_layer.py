"""`verify_sequence_layer`: the laws that a layer over sequences obeys, verified for any layer.

| law | for layers |
|---|---|
| shape | all |
| graph, XLA | all: outputs and gradients of eager execution, with unknown batch size and number of steps in a graph |
| padding | with `supports_masking`: NaN at masked steps and further masked steps change no valid output |
| causality | with `supports_step`: an output depends on no step that is more than `latency` steps later |
| steps | with `supports_step`: the whole sequence equals single blocks and 2 and 7 at once, `latency` steps later |
| states | with `supports_step` and `return_state`: returned states equal those of the steps |
| file | all: a `.keras` file |
| TFLite step | with `supports_step` and without latency |

A layer claims a law by its attributes. `supports_step = True` promises `get_initial_state(batch_size)`, which returns a
list of tensors, and `step(sequences, states)`, which returns the outputs of the next steps and the states after them.
`block_size`, 1 by default, is the number of input steps for each output step, and `step` takes a multiple of it;
`latency`, 0 by default, is the number of output steps by which `step` is late. `tfpar.layers.StepLayer` is a base
class, and `tfpar.layers.stock_steps` has the steps of stock layers. The contract follows google/sequence-layers.
"""

import inspect
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.layers.stock_steps import find_step

BLOCKS = (1, 2, 7)  # output steps
_MIN_BLOCKS = 8


class _Case(NamedTuple):
    """A built layer and what its laws are verified with.

    Attributes:
        steps: the object with the method `step`; None without it.
        inputs: float32 (batch, time, features); a multiple of the block size.
        tolerance: largest difference of equal results.
    """

    layer: keras.layers.Layer
    steps: Any
    inputs: np.ndarray
    tolerance: float

    @property
    def block_size(self) -> int:
        """Input steps for each output step."""
        return getattr(self.steps, "block_size", 1)

    @property
    def latency(self) -> int:
        """Output steps by which `step` is late."""
        return getattr(self.steps, "latency", 0)


def verify_sequence_layer(
    layer: keras.layers.Layer, shape: tuple[int, int], *, batch_size: int = 3, tolerance: float = 1e-5, seed: int = 0
) -> list[str]:
    """Verify the laws of the module that a layer claims.

    Args:
        layer: maps float (batch, time, features) to outputs of all steps or of the last. It is built if it is not, and
            random numbers are added to its trainable weights, since laws hold trivially for weights of zero.
        shape: (steps, features) of the inputs; at least 8 steps, or 8 times the layer's `block_size`, so that there are
            several blocks.
        batch_size: number of rows.
        tolerance: largest difference of equal results, relative to the largest number among them.
        seed: of weights and inputs.

    Returns:
        Names of the verified laws.

    Raises:
        AssertionError: a law is broken; the message names it.
        ValueError: `shape` is not of that form.
    """
    case = _make_case(layer, shape, batch_size, tolerance, seed)
    claimed = [name for name in LAWS if _claims(name, case)]
    for name in claimed:
        violation = _find_violation(name, case)
        if violation:
            raise AssertionError(f"{layer.name} breaks the law of {name}: {violation}")
    return claimed


def check_sequence_layer(
    layer: keras.layers.Layer,
    shape: tuple[int, int],
    laws: Sequence[str] | None = None,
    *,
    batch_size: int = 3,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> dict[str, str | None]:
    """Check laws of the module without raising.

    Args:
        layer, shape, batch_size, tolerance, seed: see `verify_sequence_layer`.
        laws: names of laws of `LAWS`, claimed or not; None: those that the layer claims.

    Returns:
        By law, what breaks it, or None if it holds.

    Raises:
        ValueError: `shape` is not of that form, or a law is unknown.
    """
    for name in laws or ():
        check_one_of("laws", name, LAWS)
    case = _make_case(layer, shape, batch_size, tolerance, seed)
    return {name: _find_violation(name, case) for name in laws or LAWS if laws or _claims(name, case)}


def _make_case(layer, shape, batch_size, tolerance, seed) -> _Case:
    """Build a layer, and make its inputs."""
    if len(shape) != 2 or shape[0] < _MIN_BLOCKS:
        raise ValueError(f"`shape` must be (steps, features) with at least 8 steps; got {shape}. Omit the batch.")
    check_positive_integer("batch_size", batch_size)
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(batch_size, *shape)).astype("float32")
    layer(inputs)
    for weight in layer.trainable_weights:
        weight.assign_add(generator.normal(0, 0.1, weight.shape))
    steps = find_step(layer, inputs.shape)
    steps = steps if getattr(steps, "supports_step", False) else None
    block_size = getattr(steps, "block_size", 1)
    if shape[0] < _MIN_BLOCKS * block_size:
        raise ValueError(
            f"`shape` must have at least {_MIN_BLOCKS * block_size} steps for {layer.name}, whose blocks have "
            f"{block_size}; got {shape}."
        )
    return _Case(layer, steps, inputs[:, : shape[0] // block_size * block_size], tolerance)


def _find_violation(name, case) -> str | None:
    """Return what breaks a law, in a line; None if it holds."""
    try:
        _LAWS[name](case)
    except Exception as error:
        message = str(error).splitlines()[0] if str(error) else ""
        return message if isinstance(error, AssertionError) else f"{type(error).__name__}: {message}"
    return None


def _claims(name: str, case: _Case) -> bool:
    if name == "padding":
        return case.layer.supports_masking
    if name == "TFLite step":
        return case.steps is not None and not case.latency and bool(case.steps.get_initial_state(1))
    if name == "states":
        return case.steps is not None and getattr(case.layer, "return_state", False)
    return case.steps is not None or name not in ("steps", "causality")


def _verify_shape(case: _Case) -> None:
    shapes = [tuple(output.shape) for output in _outputs(case.layer, case.inputs)]
    # Of `compute_output_shape`, or by a trace of the call if the layer has none, as for a functional model.
    specs = case.layer.compute_output_spec(keras.KerasTensor(case.inputs.shape))
    computed = [tuple(spec.shape) for spec in tf.nest.flatten(specs)]
    assert computed == shapes, f"`compute_output_shape` returns {computed}, and the outputs have {shapes}"


def _verify_way(case: _Case, **options: Any) -> None:
    """Compare outputs and gradients of a compiled function with those of eager execution."""
    signature = [tf.TensorSpec((None, None, case.inputs.shape[-1]))] if not options else None
    function = tf.function(_with_gradients(case.layer), autograph=False, input_signature=signature, **options)
    expected = _with_gradients(case.layer)(tf.constant(case.inputs))
    for kind, ours, theirs in zip(("output", "gradient"), function(tf.constant(case.inputs)), expected, strict=True):
        _assert_equal(kind, ours, theirs, case.tolerance)
    if signature:
        shorter = tf.constant(case.inputs[:1, :5])
        _assert_equal("output of 5 steps", function(shorter)[0], _outputs(case.layer, shorter), case.tolerance)


def _with_gradients(layer, mask=None):
    def function(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = _outputs(layer, x, mask)
            loss = sum(tf.reduce_sum(tf.sin(tf.cast(output, tf.float32))) for output in outputs)
        return outputs, tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])

    return function


def _verify_padding(case: _Case) -> None:
    """Mask the end of each row but the first: NaN there, and further masked steps, change no valid output."""
    batch, steps = case.inputs.shape[:2]
    lengths = [steps, *(max(1, steps - 2 - 3 * row) for row in range(batch - 1))]
    mask = np.arange(steps) < np.array(lengths)[:, None]
    zeros = np.where(mask[:, :, None], case.inputs, 0.0).astype("float32")
    expected = _outputs(case.layer, zeros, mask)
    with_nan = np.where(mask[:, :, None], case.inputs, np.nan).astype("float32")
    valid = _output_mask(case.layer, mask)
    _assert_equal_where_valid(valid, _outputs(case.layer, with_nan, mask), expected, "NaN at masked steps", case)
    of_zeros, of_nan = (_with_gradients(case.layer, mask)(tf.constant(x))[1] for x in (zeros, with_nan))
    _assert_equal("gradient with NaN at masked steps", of_nan[1:], of_zeros[1:], case.tolerance)
    more = np.pad(with_nan, [[0, 0], [0, 3], [0, 0]], constant_values=7.0)
    outputs = _outputs(case.layer, more, np.pad(mask, [[0, 0], [0, 3]]))
    _assert_equal_where_valid(valid, outputs, expected, "three more masked steps", case)


def _output_mask(layer, mask):
    """Return the mask of the outputs, which have fewer steps if the layer has strides."""
    masks = keras.tree.flatten(layer.compute_mask(tf.zeros((*mask.shape, 1)), tf.constant(mask)))
    return mask if not masks or masks[0] is None else np.asarray(masks[0])


def _assert_equal_where_valid(mask, outputs, expected, change, case):
    def valid(output, reference):
        has_steps = len(reference.shape) == 3 and reference.shape[1] == mask.shape[1]
        return np.asarray(output)[:, : mask.shape[1]][mask] if has_steps else np.asarray(output)

    pairs = [(valid(o, e), valid(e, e)) for o, e in zip(outputs, expected, strict=True)]
    _assert_equal(f"valid output with {change}", [o for o, _ in pairs], [e for _, e in pairs], case.tolerance)


def _verify_steps(case: _Case) -> None:
    """Compare the whole sequence with blocks of steps, whose outputs come `latency` steps later."""
    whole = _outputs(case.layer, case.inputs)[0].numpy()
    for count in BLOCKS:
        outputs, _ = _run_blocks(case, count)
        if whole.ndim == 3:
            late = np.concatenate(outputs, axis=1)
            compared = late[:, case.latency :], whole[:, : late.shape[1] - case.latency]
        else:
            compared = outputs[-1], whole
        _assert_equal(
            f"output in blocks of {count * case.block_size} steps", [compared[0]], [compared[1]], case.tolerance
        )


def _run_blocks(case, count):
    """Return the outputs of each `count` blocks, and the final states."""
    states, outputs, size = case.steps.get_initial_state(len(case.inputs)), [], count * case.block_size
    for start in range(0, case.inputs.shape[1], size):
        output, states = case.steps.step(tf.constant(case.inputs[:, start : start + size]), states)
        outputs.append(np.asarray(output))
    return outputs, states


def _verify_causality(case: _Case) -> None:
    """Change the second half of the inputs: outputs before it, by more than `latency` steps, do not change."""
    half = case.inputs.shape[1] // 2 // case.block_size
    changed = case.inputs.copy()
    changed[:, half * case.block_size :] += 1
    whole, other = (_outputs(case.layer, x)[0].numpy() for x in (case.inputs, changed))
    if whole.ndim == 3:
        unaffected = slice(0, half - case.latency)
        _assert_equal("output before a changed input", [other[:, unaffected]], [whole[:, unaffected]], case.tolerance)


def _verify_states(case: _Case) -> None:
    _, *returned = _outputs(case.layer, case.inputs)
    for count in BLOCKS:
        _, states = _run_blocks(case, count)
        _assert_equal(f"state after blocks of {count} steps", states, returned, case.tolerance)


def _verify_file(case: _Case) -> None:
    model = _model(case)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    _assert_equal("output of the loaded model", _outputs(loaded, case.inputs), _outputs(model, case.inputs), 0.0)


def _verify_tflite_step(case: _Case) -> None:
    """Export the layer as a stream; the export compares its steps with the layer."""
    import tfpar.export

    with tempfile.TemporaryDirectory() as directory:
        report = tfpar.export.tflite(_model(case), Path(directory) / "model.tflite", streaming=True)
    assert report["max_abs_error"] <= 10 * case.tolerance, f"the file's error is {report['max_abs_error']:.3g}"


def _model(case):
    inputs = keras.Input(case.inputs.shape[1:])
    return keras.Model(inputs, case.layer(inputs))


def _outputs(layer, inputs, mask=None):
    """Return the outputs as a list."""
    inputs = tf.convert_to_tensor(inputs, tf.float32)
    takes_mask = mask is not None and "mask" in inspect.signature(layer.call).parameters
    return keras.tree.flatten(layer(inputs, mask=tf.constant(mask)) if takes_mask else layer(inputs))


def _assert_equal(kind: str, ours: list, theirs: list, tolerance: float) -> None:
    assert len(ours) == len(theirs), f"{len(ours)} {kind}s instead of {len(theirs)}"
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a is None and b is None:
            continue
        assert a is not None and b is not None, f"{kind} {number} exists in one of both cases only"
        a, b = (np.asarray(tf.cast(tensor, tf.float32)) for tensor in (a, b))
        assert a.shape == b.shape, f"{kind} {number} has the shape {a.shape} instead of {b.shape}"
        assert np.isfinite(a).all(), f"{kind} {number} is not finite"
        largest = max(1.0, float(np.abs(b).max(initial=0)))
        difference = float(np.abs(a - b).max(initial=0))
        assert difference <= tolerance * largest, (
            f"{kind} {number} differs by {difference:.3g}; the tolerance is {tolerance * largest:.3g}"
        )


_LAWS: dict[str, Callable[[_Case], None]] = {
    "shape": _verify_shape,
    "graph": _verify_way,
    "XLA": lambda case: _verify_way(case, jit_compile=True),
    "padding": _verify_padding,
    "causality": _verify_causality,
    "steps": _verify_steps,
    "states": _verify_states,
    "file": _verify_file,
    "TFLite step": _verify_tflite_step,
}

LAWS = tuple(_LAWS)
