"""Input feeding: a decoder layer whose input at each step includes the previous attentional output.

    y[t], state = cell([x[t] a[t - 1]], state)
    context[t]  = attention(W_q y[t], memory)
    a[t]        = tanh(W_c [y[t] context[t]])

Luong et al. 2015, arXiv:1508.04025, section 3.3. A step needs the attention of the step before, so training runs a loop
over cell and attention.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.checks import check_one_of
from tfpar.layers.argument_types import Shape
from tfpar.layers.attention.attention import Attention
from tfpar.layers.recurrent import cells
from tfpar.ops.scan import scan

CELLS = ("lstm", "gru")


@keras.saving.register_keras_serializable(package="tfpar")
class InputFeeding(keras.layers.Layer):
    """Recurrent cell with attention and input feeding; see the module's equations.

    Args:
        units: of the cell.
        fed: number of features of a.
        cell: one of `CELLS`.
        score, heads: see `tfpar.layers.Attention`.
        seed: of the initial weights.
        **kwargs: see `keras.layers.Layer`.
    """

    def __init__(
        self, units: int, fed: int, cell: str = "lstm", score: str = "dot", heads: int = 1, seed: int = 0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.units, self.fed, self.cell, self.seed = units, fed, check_one_of("cell", cell, CELLS), seed
        own = {"dtype": self.dtype_policy}
        make_cell = cells.CELLS[cell].keras_cell
        assert make_cell is not None
        self._cell = make_cell(
            units,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 1),
            name="cell",
            **own,
        )
        self._query = self._dense(units, "query", seed + 2)
        self._combined = self._dense(fed, "combined", seed + 3, activation="tanh")
        self.attention = Attention(score, heads, name="attention", **own)

    @property
    def state_size(self) -> list[int]:
        """Numbers of features of the cell's states."""
        sizes = self._cell.state_size
        return list(sizes) if isinstance(sizes, list | tuple) else [sizes]

    def _dense(self, units, name, seed, **options):
        initializer = keras.initializers.GlorotUniform(seed)
        return keras.layers.Dense(units, kernel_initializer=initializer, name=name, dtype=self.dtype_policy, **options)

    def build(
        self,
        inputs_shape: Shape,
        fed_shape: Shape,
        memory_shape: Shape,
        keys_shape: Shape,
        valid_shape: Shape | None,
        *state_shapes: Shape,
    ) -> None:
        batch, _, features = inputs_shape
        self._cell.build((batch, features + self.fed))
        self._query.build((batch, 1, self.units))
        self.attention.build((batch, 1, self.units), keys_shape, memory_shape)
        self._combined.build((batch, 1, self.units + memory_shape[-1]))

    def call(
        self,
        inputs: tf.Tensor,
        fed: tf.Tensor,
        memory: tf.Tensor,
        keys: tf.Tensor,
        valid: tf.Tensor | None,
        *states: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        """Run over all steps.

        Args:
            inputs: float (batch, time, features).
            fed: float (batch, fed), a before the first step.
            memory: float (batch, steps, memory_features).
            keys: float (batch, steps, units).
            valid: bool (batch, steps).
            states: of the cell, float (batch, units) each.

        Returns:
            a, float (batch, time, fed); the alignment, float (batch, time, steps); a after the last step, and the
            states.
        """

        def step(carry, x):
            fed, _, *states = carry
            y, states = self._cell(ops.concatenate([x, fed], axis=-1), list(states))
            y = y[:, None]
            context, alignment = self.attention(self._query(y), keys, memory, valid)
            fed = self._combined(ops.concatenate([y, context], axis=-1))
            return fed[:, 0], alignment[:, 0], *states

        carry = (fed, ops.zeros_like(keys[..., 0]), *states)
        carry = tuple(ops.cast(tensor, self.compute_dtype) for tensor in carry)
        if inputs.shape[1] == 1:
            carry = step(carry, inputs[:, 0])
            outputs, alignment = (tensor[:, None] for tensor in carry[:2])
        else:
            carry, (outputs, alignment, *_) = scan(step, carry, ops.swapaxes(inputs, 0, 1))
            outputs, alignment = (ops.swapaxes(tensor, 0, 1) for tensor in (outputs, alignment))
        fed, _, *final_states = carry
        return outputs, alignment, fed, *final_states

    def compute_output_spec(
        self,
        inputs: keras.KerasTensor,
        fed: keras.KerasTensor,
        memory: keras.KerasTensor,
        keys: keras.KerasTensor,
        valid: keras.KerasTensor,
        *states: keras.KerasTensor,
    ) -> tuple[keras.KerasTensor, ...]:
        batch, time, _ = inputs.shape
        shapes = [(batch, time, self.fed), (batch, time, keys.shape[1]), (batch, self.fed)]
        shapes += [(batch, self.units)] * len(states)
        return tuple(keras.KerasTensor(shape, self.compute_dtype) for shape in shapes)

    def get_config(self) -> dict[str, Any]:
        config = {"units": self.units, "fed": self.fed, "cell": self.cell, "seed": self.seed}
        config |= {"score": self.attention.score, "heads": self.attention.heads}
        return {**super().get_config(), **config}
