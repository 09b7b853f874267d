"""`StepLayer`: a layer over sequences that also processes a stream, some steps at a time, with explicit states.

The contract follows google/sequence-layers: the outputs of `step` on successive blocks of a sequence equal those of the
whole sequence, `latency` steps later. Recurrent layers fulfill it, too.

| attribute | meaning |
|---|---|
| supports_step | whether the layer processes streams |
| block_size | input steps for each output step; `step` takes a multiple of it |
| latency | output steps by which `step` is behind the whole sequence |
| state_names | suffixes of the names of the states in an exported file |
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

Tensors = Sequence[tf.Tensor]


class StepLayer:
    """Base class, beside `keras.layers.Layer`, of layers that process streams; without overrides they have no state."""

    if TYPE_CHECKING:  # of `keras.layers.Layer`
        name: str
        compute_dtype: str

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    @property
    def step_obstacle(self) -> str | None:
        """The reason why the layer cannot process a stream, and the remedy; None if it can."""
        return None

    @property
    def supports_step(self) -> bool:
        """Whether the layer processes streams."""
        return self.step_obstacle is None

    @property
    def block_size(self) -> int:
        """Input steps for each output step."""
        return 1

    @property
    def latency(self) -> int:
        """Output steps by which `step` is behind the whole sequence."""
        return 0

    @property
    def state_names(self) -> tuple[str, ...]:
        """Suffixes of the names of the states in an exported file."""
        return ()

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Return the shape of each state of the built layer, without the batch."""
        return []

    def get_initial_state(self, batch_size: int | tf.Tensor) -> list[tf.Tensor]:
        """Return states of zeros, each float (batch_size, ...).

        Args:
            batch_size: number of rows, int or int32 scalar.
        """
        return [tf.zeros((batch_size, *shape), self.compute_dtype) for shape in self.state_shapes()]

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        """Process the next steps of a stream.

        Args:
            sequences: float (batch, time, features); the number of steps is a multiple of `block_size`.
            states: those after the step before, or `get_initial_state(batch_size)`.
            mask: bool (batch, time), or None.

        Returns:
            The outputs of these steps, and the states after them.

        Raises:
            ValueError: the number of steps is not a multiple of `block_size`, or the layer cannot process streams.
        """
        del mask
        self.check_step(sequences)
        return self(sequences), list(states)

    def check_step(self, sequences: tf.Tensor) -> None:
        """Raise ValueError if `step` cannot process a block of these steps."""
        if self.step_obstacle:
            raise ValueError(f"{self.name} cannot process a stream: {self.step_obstacle}.")
        steps = sequences.shape[1]
        if steps is not None and steps % self.block_size:
            raise ValueError(
                f"`sequences` must have a multiple of {self.block_size} steps for {self.name}; got {steps}. Collect "
                "steps until there are enough."
            )


def append_to_history(history: tf.Tensor, sequences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Prepend the previous steps of a stream to the next ones.

    Args:
        history: (batch, previous steps, ...).
        sequences: (batch, time, ...).

    Returns:
        Both, (batch, previous steps + time, ...), and the history after them.
    """
    joined = tf.concat([history, tf.cast(sequences, history.dtype)], axis=1)
    steps = sequences.shape[1]
    return joined, joined[:, tf.shape(sequences)[1] if steps is None else steps :]
