"""Runs a `.tflite` file in TFLite Micro, the interpreter of microcontrollers, with an arena of given size."""

import dataclasses
import importlib.util
from collections.abc import Sequence

import numpy as np

from tfpar.errors import MissingExtraError, UserError
from tfpar.export.conversion.quantization import Quantization

_DTYPES = {"FLOAT32": np.float32, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64}


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output of a file: its place, its shape, and how it stores numbers."""

    index: int
    shape: tuple[int, ...]
    quantisation: Quantization


class MicroModel:
    """The first signature of a `.tflite` file, in this process.

    An arena that is too small may end the process with a segmentation fault;
    `tfpar.export.micro.interpreter_process` finds the size that a file needs.

    Args:
        content: of the file.
        arena_bytes: memory for all that is not constant.

    Attributes:
        inputs, outputs: `Port` by name.

    Raises:
        UserError: `content` is no TFLite model, or TFLite Micro cannot run it in this arena; it says why on stderr.
        MissingExtraError: tflite-micro is not installed.
    """

    def __init__(self, content: bytes, arena_bytes: int):
        check_micro()
        from tflite_micro import runtime

        self.inputs, self.outputs = _ports(content)
        try:
            self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena_bytes)
        except RuntimeError as error:
            raise UserError(f"TFLite Micro cannot load the file into {arena_bytes:,} bytes: {error}") from error

    def set_input(self, name: str, values: np.ndarray) -> None:
        """Sets an input: real numbers, which are quantised as the file wants them, or what it stores."""
        port = self.inputs[name]
        stored = port.quantisation.stored(values).astype(port.quantisation.dtype)
        if stored.shape != port.shape:
            raise UserError(f"the input {name!r} must have the shape {port.shape}; got {stored.shape}")
        self._interpreter.set_input(stored, port.index)

    def invoke(self) -> None:
        """Runs the model once; a UserError if an operation of it cannot be run."""
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise UserError(f"TFLite Micro cannot run the file: {error}") from error

    def get_output(self, name: str) -> np.ndarray:
        """An output of the last run, dequantised."""
        port = self.outputs[name]
        return port.quantisation.real(self._interpreter.get_output(port.index))

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Sets all inputs, runs, and returns all outputs."""
        for name in self.inputs:
            self.set_input(name, inputs[name])
        self.invoke()
        return {name: self.get_output(name) for name in self.outputs}

    def print_allocations(self) -> None:
        """Prints on the process's stderr what the arena was used for."""
        self._interpreter.print_allocations()


def check_micro(sequence_lengths: Sequence[int] = (), streaming: bool = False) -> None:
    """Refuse what cannot be made or run for TFLite Micro.

    Args:
        sequence_lengths, streaming: what is asked of a file.

    Raises:
        MissingExtraError: tflite-micro cannot be imported.
        UserError: a file would have several signatures.
    """
    if len(sequence_lengths) > 1 or streaming:
        raise UserError(
            "target='micro' takes one `sequence_length` and no `streaming`: TFLite Micro runs a file's first signature "
            "alone; make one file for each"
        )
    if importlib.util.find_spec("tflite_micro") is None:
        raise MissingExtraError("tflite-micro", "micro", "to run files as a microcontroller would")


def _ports(content):
    """Inputs and outputs of the first signature, by name; TFLite Micro itself knows them by place alone."""
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise UserError("the content is no TFLite model: it has no mark TFL3")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if not model.signatureDefs:
        raise UserError("the TFLite model has no signature, so its inputs have no names; convert it from a SavedModel")
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}

    def ports(maps, places):
        return {
            entry.name.decode(): _port(graph.tensors[entry.tensorIndex], list(places).index(entry.tensorIndex), names)
            for entry in maps
        }

    return ports(signature.inputs, graph.inputs), ports(signature.outputs, graph.outputs)


def _port(tensor, index, names):
    dtype, shape = np.dtype(_DTYPES[names[tensor.type]]), tuple(int(size) for size in tensor.shape)
    scales = tensor.quantization.scale if tensor.quantization is not None else None
    if scales is None or not len(scales):
        return Port(index, shape, Quantization(dtype, 0.0, 0))
    zero_point = int(tensor.quantization.zeroPoint[0])
    return Port(index, shape, Quantization(dtype, float(scales[0]), zero_point))
