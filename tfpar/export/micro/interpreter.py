"""Runs a `.tflite` file in TFLite Micro, the interpreter for microcontrollers, with an arena of a given size."""

import dataclasses
import importlib.util
from collections.abc import Sequence

import numpy as np

from tfpar.errors import MissingExtraError, UserError
from tfpar.export.conversion.quantization import Quantization

_DTYPES = {"FLOAT32": np.float32, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """An input or output of a file.

    Attributes:
        index: in the list of inputs or outputs.
        shape: of the tensor.
        quantization: of its values.
    """

    index: int
    shape: tuple[int, ...]
    quantization: Quantization


class MicroModel:
    """The first signature of a `.tflite` file, in this process.

    An arena that is too small may cause a segmentation fault; `tfpar.export.micro.interpreter_process` finds the size
    that a file needs.

    Args:
        content: of the file.
        arena_bytes: memory for everything that is not constant.

    Attributes:
        inputs, outputs: `TensorSpec` by name.

    Raises:
        UserError: `content` is not a TFLite model, or TFLite Micro cannot run it in this arena; it writes the reason
            to stderr.
        MissingExtraError: tflite-micro is not installed.
    """

    def __init__(self, content: bytes, arena_bytes: int):
        check_micro()
        from tflite_micro import runtime

        self.inputs, self.outputs = _read_specs(content)
        try:
            self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena_bytes)
        except RuntimeError as error:
            raise UserError(f"TFLite Micro cannot load the file into {arena_bytes:,} bytes: {error}") from error

    def set_input(self, name: str, values: np.ndarray) -> None:
        """Set an input to real numbers, which are quantized as the file requires, or to stored integers."""
        spec = self.inputs[name]
        stored = spec.quantization.quantize(values).astype(spec.quantization.dtype)
        if stored.shape != spec.shape:
            raise UserError(f"the input {name!r} must have the shape {spec.shape}; got {stored.shape}")
        self._interpreter.set_input(stored, spec.index)

    def invoke(self) -> None:
        """Run the model once; raise UserError if TFLite Micro cannot run one of its operations."""
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise UserError(f"TFLite Micro cannot run the file: {error}") from error

    def get_output(self, name: str) -> np.ndarray:
        """Return an output of the last run, dequantized."""
        spec = self.outputs[name]
        return spec.quantization.dequantize(self._interpreter.get_output(spec.index))

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Set all inputs, run the model, and return all outputs."""
        for name in self.inputs:
            self.set_input(name, inputs[name])
        self.invoke()
        return {name: self.get_output(name) for name in self.outputs}

    def print_allocations(self) -> None:
        """Print the allocations in the arena to the process's stderr."""
        self._interpreter.print_allocations()


def check_micro(sequence_lengths: Sequence[int] = (), streaming: bool = False) -> None:
    """Check that TFLite Micro is installed and can run a file.

    Args:
        sequence_lengths, streaming: of the file; see `tflite`.

    Raises:
        MissingExtraError: tflite-micro is not installed.
        UserError: the file would have several signatures.
    """
    if len(sequence_lengths) > 1 or streaming:
        raise UserError(
            "target='micro' needs one `sequence_length` and no `streaming`, since TFLite Micro runs only the first "
            "signature of a file. Write one file for each"
        )
    if importlib.util.find_spec("tflite_micro") is None:
        raise MissingExtraError("tflite-micro", "micro", "to run files as a microcontroller would")


def _read_specs(content):
    """Read inputs and outputs of the first signature, by name; TFLite Micro itself knows only their indices."""
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise UserError("the content is not a TFLite model: it lacks the identifier TFL3")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if not model.signatureDefs:
        raise UserError("the TFLite model has no signature, so its inputs have no names; convert it from a SavedModel")
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}

    def read(entries, indices):
        return {
            entry.name.decode(): _read_spec(
                graph.tensors[entry.tensorIndex], list(indices).index(entry.tensorIndex), names
            )
            for entry in entries
        }

    return read(signature.inputs, graph.inputs), read(signature.outputs, graph.outputs)


def _read_spec(tensor, index, names):
    dtype, shape = np.dtype(_DTYPES[names[tensor.type]]), tuple(int(size) for size in tensor.shape)
    scales = tensor.quantization.scale if tensor.quantization is not None else None
    if scales is None or not len(scales):
        return TensorSpec(index, shape, Quantization(dtype, 0.0, 0))
    zero_point = int(tensor.quantization.zeroPoint[0])
    return TensorSpec(index, shape, Quantization(dtype, float(scales[0]), zero_point))
