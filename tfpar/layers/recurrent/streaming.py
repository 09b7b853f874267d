"""Streaming: a model is called on parts of a sequence, with the states of its recurrent layers as inputs and outputs.

Within `streamed`, each recurrent layer starts from its given states and stores its final states. The model does not
change.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from tfpar.layers.call_context import call_context_with

if TYPE_CHECKING:
    from tfpar.layers.recurrent.base import RecurrentLayer


class Streams:
    """States by name: "LAYER_h", "LAYER_c" for the second state of an LSTM, "LAYER_n" for the third of an mLSTM.

    Args:
        initial: float (batch, units) each.

    Attributes:
        final: the states after the call, by the same names.
    """

    def __init__(self, initial: Mapping[str, tf.Tensor]):
        self._initial = initial
        self.final: dict[str, tf.Tensor] = {}

    def initial_states(self, layer: "RecurrentLayer") -> list[tf.Tensor]:
        """Return the initial states of a layer."""
        return [self._initial[name] for name in state_sizes(layer)]

    def add_final_states(self, layer: "RecurrentLayer", states: Sequence[tf.Tensor]) -> None:
        """Store the final states of a layer."""
        self.final.update(zip(state_sizes(layer), states, strict=True))


@contextlib.contextmanager
def streamed(initial: Mapping[str, tf.Tensor]) -> Iterator[Streams]:
    """Within this context, recurrent layers start from these states; yields their `Streams`."""
    streams = Streams(initial)
    with call_context_with(streams=streams):
        yield streams


def state_sizes(layer: "RecurrentLayer") -> dict[str, int]:
    """Return the number of units of each state of a recurrent layer, by the state's name.

    Raises:
        ValueError: the layer starts at the end of a sequence, which a stream does not know.
    """
    if layer.go_backwards:
        raise ValueError(
            f"{layer.name} runs backward from the end of a sequence, and a stream has none yet: only models without "
            "Bidirectional and go_backwards=True can be streamed."
        )
    name = make_identifier(layer.name)
    return {f"{name}_{letter}": units for letter, units in zip("hcn", layer.state_size, strict=False)}


def make_identifier(name: str) -> str:
    """Make an identifier of C and Python of a name, as signatures require."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return plain if plain[:1].isalpha() else f"arg_{plain.lstrip('_')}"
