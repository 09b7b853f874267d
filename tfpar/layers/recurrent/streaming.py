"""Streaming: a model that gets a sequence in pieces, with the states of its recurrent layers handed in and out.

While a model is called within `streamed`, each of its recurrent layers begins in the states that were given for it and
leaves those after its last step. The model itself stays as it is.
"""

import contextlib
import contextvars
import re
from collections.abc import Iterator

import tensorflow as tf

from tfpar.contexts import variable_set

_streams = contextvars.ContextVar("streams", default=None)


class Streams:
    """States by name: "LAYER_h", and "LAYER_c" for an LSTM's second.

    Args:
        given: float (batch, units) each.

    Attributes:
        left: the states after the call, by the same names.
    """

    def __init__(self, given: dict[str, tf.Tensor]):
        self._given, self.left = given, {}

    def begin(self, layer) -> list[tf.Tensor]:
        """The states in which a layer begins."""
        return [self._given[name] for name in state_shapes(layer)]

    def end(self, layer, states) -> None:
        """Takes the states in which a layer ended."""
        self.left.update(zip(state_shapes(layer), states, strict=True))


@contextlib.contextmanager
def streamed(given: dict[str, tf.Tensor]) -> Iterator[Streams]:
    """Yields the `Streams` of the layers that are called in its body."""
    streams = Streams(given)
    with variable_set(_streams, streams):
        yield streams


def streams() -> Streams | None:
    """Those of the context that this is called in."""
    return _streams.get()


def state_shapes(layer) -> dict[str, int]:
    """Units of each state of a recurrent layer, by the state's name.

    Raises:
        ValueError: the layer begins at the end of a sequence, which a stream does not know.
    """
    if layer.go_backwards:
        raise ValueError(
            f"{layer.name} runs backward from the end of a sequence, and a stream has none yet: only models without "
            "Bidirectional and go_backwards=True can be streamed."
        )
    name = legal_name(layer.name)
    return {f"{name}_{letter}": units for letter, units in zip("hc", layer.state_size, strict=False)}


def legal_name(name: str) -> str:
    """Make a name an identifier of C and Python, which the names of a signature have to be."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return plain if plain[:1].isalpha() else f"arg_{plain.lstrip('_')}"
