"""Outputs and gradients, by the input, the initial states and every weight, are those of Keras' layers."""

import keras
import pytest
from running import assert_all_close, forward_and_gradients
from table import BIDIRECTIONAL, MASKS, ROWS, SINGLE, built, inputs, states

from tfpar import layers

ARGUMENTS = {
    "default": {},
    "return_sequences": {"return_sequences": True},
    "unroll": {"unroll": True, "return_sequences": True},
}
SINGLE_ARGUMENTS = {
    "go_backwards": {"go_backwards": True, "return_sequences": True},
    "go_backwards_last": {"go_backwards": True},
    "zero_output_for_mask": {"zero_output_for_mask": True, "return_sequences": True},
    "zero_output_for_mask_last": {"zero_output_for_mask": True},
    "unroll_backwards": {"unroll": True, "go_backwards": True, "return_sequences": True},
    "no_bias": {"use_bias": False},
}
CASES = [(row, name, arguments) for row in ROWS for name, arguments in ARGUMENTS.items()]
CASES += [(row, name, arguments) for row in SINGLE for name, arguments in SINGLE_ARGUMENTS.items()]


def both(row, arguments, **call):
    """Keras always loops: its unrolled form zeroes masked outputs by a mask that it forgot to reverse."""
    ours = forward_and_gradients(built(row, layers, **arguments), inputs(), **call)
    looped = built(row, keras.layers, **{**arguments, "unroll": False})
    return ours, forward_and_gradients(looped, inputs(), **call)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("row, name, arguments", CASES, ids=[f"{row}-{name}" for row, name, _ in CASES])
def test_outputs_and_gradients(row, name, arguments, mask):
    (ours, our_gradients), (theirs, their_gradients) = both(row, arguments, mask=MASKS[mask])
    assert_all_close(ours, theirs)
    assert_all_close(our_gradients, their_gradients)


@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("row", SINGLE + BIDIRECTIONAL, ids=str)
def test_with_states_in_and_out(row, mask, return_sequences):
    arguments = {"return_state": True, "return_sequences": return_sequences}
    call = {"mask": MASKS[mask], "initial_state": states(row.states)}
    (ours, our_gradients), (theirs, their_gradients) = both(row, arguments, **call)
    assert len(ours) == row.states + (2 if row.name == "bidirectional_both" else 1)
    assert_all_close(ours, theirs)
    assert_all_close(our_gradients, their_gradients)


@pytest.mark.parametrize("row", SINGLE + BIDIRECTIONAL, ids=str)
def test_shapes_and_masks_in_a_functional_model(row):
    arguments = {"return_sequences": True, "return_state": True}
    x = keras.Input((None, 4))
    masked = keras.layers.Masking()(x)
    ours, theirs = (row.make(module, **arguments)(masked) for module in (layers, keras.layers))
    assert [o.shape for o in ours] == [t.shape for t in theirs]
    assert [getattr(o, "_keras_mask", None) is None for o in ours] == [
        getattr(t, "_keras_mask", None) is None for t in theirs
    ]
