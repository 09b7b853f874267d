"""The signatures of a TFLite file: one sequence, sequences of several lengths, or a stream step by step."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfpar.errors import UserError
from tfpar.export.conversion.model_stream import ModelStream
from tfpar.export.conversion.samples import rows_to_compare
from tfpar.export.conversion.serving import ServingModel, serving_model
from tfpar.export.conversion.verify_outputs import EXAMPLE, Comparison, Row, is_comparable

DEFAULT, STEP = "serving_default", "step"
_STREAMS_COMPARED = 4

Inputs = dict[str, np.ndarray]


class Signature:
    """Base class for a signature of a TFLite file.

    Args:
        model: a built model, of any kind.
        shapes: of its inputs, by name, the batch first; None: any size.
        samples: rows of inputs, by name.
        padding: where masked steps may stand; see `tflite`.
    """

    def __init__(
        self,
        model: keras.Model | ServingModel,
        shapes: dict[str, tuple],
        samples: Inputs,
        padding: str = "any",
    ):
        self.model, self.padding = serving_model(model), padding
        self._shapes, self._samples = shapes, samples
        self._batch = next(iter(shapes.values()))[0]

    @property
    def is_open(self) -> bool:
        """Whether a number of time steps is open."""
        raise NotImplementedError

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, in order."""
        raise NotImplementedError

    def function(self, target: str, form: str) -> Callable:
        """Trace the concrete function to convert; see `ServingModel.function`."""
        raise NotImplementedError

    def rows(self) -> list[Inputs]:
        """List inputs to calibrate with."""
        raise NotImplementedError

    def rows_to_compare(self) -> list[Row]:
        """List batches to compare the file and the model on."""
        raise NotImplementedError

    def compare(self, file: Callable[..., Inputs], rows: list[Row]) -> Comparison:
        """Compare the outputs of a file with those of the model.

        Args:
            file: function of inputs by name that returns outputs by name.
            rows: some of `rows_to_compare()`.
        """
        comparison = Comparison()
        for row in rows:
            expected = self.model.outputs(row.inputs)
            if is_comparable(row, expected):
                comparison.add(row, *self._run(file, row.inputs, expected))
        return comparison

    def _run(self, file, inputs, expected) -> tuple[Inputs, Inputs]:
        """Return the file's outputs, and those of `expected` to compare them with."""
        return file(**inputs), expected

    def _weights(self) -> list[np.ndarray]:
        # Constants: the converter does not fuse operations on variables; see `tfpar.ops.fused_lstm`.
        return [v.numpy() for v in self.model.functional.variables]


class SequenceSignature(Signature):
    """Signature of whole sequences of one length, or of any: the model's inputs to its outputs.

    Args:
        model, shapes, samples, padding: see `Signature`; sequences in `samples` are at least as long as in `shapes`.
    """

    @property
    def is_open(self) -> bool:
        """Whether a number of time steps is open."""
        return any(None in shape for shape in self._shapes.values())

    @property
    def output_names(self) -> list[str]:
        """The model's outputs, in order."""
        return self.model.output_names

    def function(self, target: str, form: str) -> Callable:
        """Trace the concrete function to convert; see `ServingModel.function`."""
        return self.model.function(self._weights(), target, form, self.padding, self._shapes)

    def rows(self) -> list[Inputs]:
        """List inputs to calibrate with."""
        batch = self._batch or 1
        return [
            {name: self._cut(name, array) for name, array in _batch_at(self._samples, first, batch).items()}
            for first in range(0, _row_count(self._samples), batch)
        ]

    def rows_to_compare(self) -> list[Row]:
        """List batches to compare on, each of rows of one kind."""
        batch = self._batch or 1
        samples = {name: self._cut(name, array) for name, array in self._samples.items()}
        by_kind: dict[str, list[Inputs]] = {}
        for row in rows_to_compare(self.model, samples, self.padding):
            by_kind.setdefault(row.kind, []).append(row.inputs)
        return [
            Row(kind, _batch_at(joined, first, batch))
            for kind, rows in by_kind.items()
            for joined in [{name: np.concatenate([row[name] for row in rows]) for name in rows[0]}]
            for first in range(0, len(rows), batch)
        ]

    def _cut(self, name, rows):
        for axis, size in enumerate(self._shapes[name][1:], start=1):
            rows = rows if size is None else rows.take(range(size), axis)
        return rows


class StepSignature(Signature):
    """Signature of a stream: the next steps and all states to their outputs and the new states, without a loop.

    A call takes one time step or, if the model has strides, as many as one step of its slowest layer.

    Args:
        model, shapes, samples, padding: see `Signature`; `shapes` are those of whole sequences.

    Raises:
        UserError: a layer cannot process a stream, or the samples have too few steps.
    """

    is_open = False

    def __init__(
        self,
        model: keras.Model | ServingModel,
        shapes: dict[str, tuple],
        samples: Inputs,
        padding: str = "any",
    ):
        model = serving_model(model)
        self._stream = ModelStream(model)
        self._block = self._stream.block_size
        steps = next(iter(samples.values())).shape[1] // self._block * self._block
        if not steps:
            raise UserError(
                f"{model.name} takes {self._block} steps at a time in a stream, more than `calibration` has. Give "
                "longer sequences"
            )
        samples = {name: array[:, :steps] for name, array in samples.items()}
        shapes = {name: (shape[0], self._block, *shape[2:]) for name, shape in shapes.items()}
        super().__init__(model, shapes, samples, padding)

    @property
    def output_names(self) -> list[str]:
        """The model's outputs, in order, and the new states."""
        return [*self.model.output_names, *self._stream.state_shapes]

    def function(self, target: str, form: str) -> Callable:
        """Trace the concrete function to convert; `form` makes no difference to one step."""
        specs = [tf.TensorSpec(shape, tf.float32, name) for name, shape in self._state_shapes().items()]
        return self.model.function(
            self._weights(), target, "unrolled", self.padding, self._shapes, specs, self._stream.call
        )

    def _state_shapes(self):
        return {name: (self._batch, *shape) for name, shape in self._stream.state_shapes.items()}

    def rows(self) -> list[Inputs]:
        """List inputs of the first step, with states of zero, and of later steps, with small random ones."""
        generator = np.random.default_rng(0)
        rows = []
        for first in range(0, _row_count(self._samples), self._batch):
            for number in {0, self._blocks() // 2}:
                states = {
                    name: np.tanh(generator.normal(size=shape) * bool(number)).astype(np.float32)
                    for name, shape in self._state_shapes().items()
                }
                rows.append({**self._block_at(_batch_at(self._samples, first, self._batch), number), **states})
        return rows

    def rows_to_compare(self) -> list[Row]:
        """List whole sequences to compare on: some examples, and each kind of padding."""
        rows = rows_to_compare(self.model, self._samples, self.padding)
        examples = [row for row in rows if row.kind == EXAMPLE][:_STREAMS_COMPARED]
        padded = {row.kind: row for row in rows if row.kind != EXAMPLE}.values()
        return [Row(row.kind, _batch_at(row.inputs, 0, self._batch)) for row in [*examples, *padded]]

    def for_model(self, model: keras.Model) -> "StepSignature":
        """Make the signature of another model with the same inputs."""
        return StepSignature(model, self._shapes, self._samples, self.padding)

    def _blocks(self):
        return next(iter(self._samples.values())).shape[1] // self._block

    def _block_at(self, inputs, number):
        return {name: array[:, number * self._block : (number + 1) * self._block] for name, array in inputs.items()}

    def _run(self, file, inputs, expected):
        """Run all steps; compare the outputs after the last one."""
        states = {name: np.zeros(shape, np.float32) for name, shape in self._state_shapes().items()}
        for number in range(self._blocks()):
            found = file(**self._block_at(inputs, number), **states)
            states = {name: found[name] for name in states}
        last = {
            name: output[:, -found[name].shape[1] :] if found[name].ndim == 3 else output
            for name, output in expected.items()
        }
        return found, last


Signatures = dict[str, Signature]


def _row_count(samples):
    return len(next(iter(samples.values())))


def _batch_at(samples, first, size):
    """Take `size` rows from the `first` on; after the last row, start again with the first one."""
    indices = np.arange(first, first + size) % _row_count(samples)
    return {name: array[indices] for name, array in samples.items()}


def choose_input_shapes(
    model: keras.Model | ServingModel, batch_size: int | None, length: int | None, samples: Inputs | None
) -> dict[str, tuple]:
    """Choose the shapes of the model's inputs.

    Args:
        model: a built model.
        batch_size: rows of each call; None: any.
        length: size of dimensions that the model leaves open; None: as in `samples`.
        samples: rows of inputs, by name; None: open dimensions without `length` stay open.
    """
    serving, shapes = serving_model(model), {}
    for name, tensor in zip(serving.input_names, serving.inputs, strict=True):
        known = tensor.shape[1:] if samples is None else samples[name].shape[1:]
        known = [length if length and size is None else k for size, k in zip(tensor.shape[1:], known, strict=True)]
        shapes[name] = (batch_size, *known)
    return shapes
