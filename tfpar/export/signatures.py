"""What a TFLite file can be asked for: one sequence, sequences of several lengths, or a stream step by step."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpar.errors import UserError
from tfpar.export.to_saved_model import input_names, named_outputs, serving_function
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.streaming import state_shapes, streamed

DEFAULT, STEP = "serving_default", "step"


def recurrent_layers(model: keras.Model) -> list[RecurrentLayer]:
    """All of them, those within others too."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, RecurrentLayer)]


class Sequences:
    """Signature of whole sequences of one length, or of any: the model's inputs to its outputs.

    Args:
        model: a built functional model.
        shapes: of its inputs, by name.
        samples: rows of inputs of at least that length, by name.
    """

    def __init__(self, model: keras.Model, shapes: dict[str, tuple], samples: dict[str, np.ndarray]):
        self.model, self._shapes, self._samples = model, shapes, samples

    @property
    def is_open(self) -> bool:
        """Whether a number of time steps is open."""
        return any(None in shape for shape in self._shapes.values())

    def function(self, target: str, form: str):
        """The concrete function to convert; see `serving_function`."""
        return serving_function(self.model, _constants(self.model), target, form, self._shapes)

    def rows(self) -> list[dict[str, np.ndarray]]:
        """Inputs to calibrate with and to measure on."""
        batch = next(iter(self._shapes.values()))[0] or 1
        return [
            {name: self._cut(name, array) for name, array in _batch_at(self._samples, first, batch).items()}
            for first in range(0, _row_count(self._samples), batch)
        ]

    def _cut(self, name, rows):
        for axis, size in enumerate(self._shapes[name][1:], start=1):
            rows = rows if size is None else rows.take(range(size), axis)
        return rows

    def compare(self, file, rows) -> "Difference":
        """A file's answers with Keras'."""
        differences = []
        for row in rows:
            found, answers = file(**row), named_outputs(self.model, row)
            differences += [Difference.of(found[name], answer) for name, answer in answers.items()]
        return Difference.largest(differences)


class Steps:
    """Signature of a stream: one time step and all states to the outputs after it and the new states, without a loop.

    Args:
        model: a built functional model, with recurrent layers that run forward.
        shapes: of its inputs, by name, for whole sequences.
        samples: rows of inputs, by name.

    Raises:
        UserError: the model cannot be streamed.
    """

    def __init__(self, model: keras.Model, shapes: dict[str, tuple], samples: dict[str, np.ndarray]):
        self.model, self._samples = model, samples
        self._batch = next(iter(shapes.values()))[0]
        self._shapes = {name: (shape[0], 1, *shape[2:]) for name, shape in shapes.items()}
        layers = recurrent_layers(model)
        if not layers:
            raise UserError(f"{model.name} has no recurrent layer, so there is no state to carry from step to step")
        try:
            self._states = {name: units for layer in layers for name, units in state_shapes(layer).items()}
        except ValueError as error:
            raise UserError(str(error)) from error

    is_open = False

    def function(self, target: str, form: str):
        """The concrete function to convert; `form` makes no difference to one step."""
        specs = [tf.TensorSpec((self._batch, units), tf.float32, name) for name, units in self._states.items()]
        return serving_function(
            self.model, _constants(self.model), target, "unrolled", self._shapes, specs, self._answer
        )

    @staticmethod
    def _answer(call, states):
        with streamed(states) as streams:
            outputs = call()
        return {**outputs, **streams.left}

    def rows(self) -> list[dict[str, np.ndarray]]:
        """Inputs of the first step, with states of zero, and of those of later steps, with small random ones."""
        generator = np.random.default_rng(0)
        rows = []
        for first in range(0, _row_count(self._samples), self._batch):
            for t in {0, self._length() // 2}:
                states = {
                    name: np.tanh(generator.normal(size=(self._batch, units)) * bool(t)).astype(np.float32)
                    for name, units in self._states.items()
                }
                rows.append(
                    {
                        **{
                            name: array[:, t : t + 1]
                            for name, array in _batch_at(self._samples, first, self._batch).items()
                        },
                        **states,
                    }
                )
        return rows

    def _length(self):
        return next(iter(self._samples.values())).shape[1]

    def compare(self, file, rows) -> "Difference":
        """A file's answers after the last step with Keras' to whole sequences."""
        differences = []
        for number in range(min(4, len(rows))):
            inputs = _batch_at(self._samples, number * self._batch, self._batch)
            states = {name: np.zeros((self._batch, units), np.float32) for name, units in self._states.items()}
            for t in range(self._length()):
                found = file(**{name: array[:, t : t + 1] for name, array in inputs.items()}, **states)
                states = {name: found[name] for name in states}
            for name, answer in named_outputs(self.model, inputs).items():
                differences.append(Difference.of(found[name], answer[:, -1:] if found[name].ndim == 3 else answer))
        return Difference.largest(differences)


Signatures = dict[str, Sequences | Steps]


class Difference(NamedTuple):
    """Of answers to Keras'.

    Attributes:
        error: the largest absolute difference; NaN if any is.
        scale: the largest absolute answer of Keras.
    """

    error: float
    scale: float

    @classmethod
    def of(cls, found: np.ndarray, expected: np.ndarray) -> "Difference":
        return cls(float(np.max(np.abs(found - expected))), float(np.max(np.abs(expected))))

    @classmethod
    def largest(cls, differences: list["Difference"]) -> "Difference":
        return cls(*np.max(differences, axis=0).tolist())  # Python's own max would lose a NaN


def _constants(model) -> list[np.ndarray]:
    """As variables, weights would keep the converter from fusing; see `tfpar.ops.fused_lstm`."""
    return [v.numpy() for v in model.variables]


def _row_count(samples):
    return len(next(iter(samples.values())))


def _batch_at(samples, first, size):
    """`size` rows from the `first` on; behind the last row the first comes again."""
    places = np.arange(first, first + size) % _row_count(samples)
    return {name: array[places] for name, array in samples.items()}


def shapes_of(model: keras.Model, batch_size: int, length: int | None, samples) -> dict[str, tuple]:
    """Shapes of the model's inputs; open dimensions are `length`, or those of `samples`, or stay open if neither is."""
    shapes = {}
    for name, tensor in zip(input_names(model), model.inputs, strict=True):
        known = tensor.shape[1:] if samples is None else samples[name].shape[1:]
        known = [length if length and size is None else k for size, k in zip(tensor.shape[1:], known, strict=True)]
        shapes[name] = (batch_size, *known)
    return shapes
