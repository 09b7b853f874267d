"""Runs `.tflite` files with LiteRT and NumPy, without TensorFlow."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfpar.errors import MissingExtraError, UserError
from tfpar.export.conversion.quantization import Quantization
from tfpar.files import read_file


class LiteRTError(UserError, RuntimeError):
    """Error for a file whose operations LiteRT cannot prepare or run."""


class TFLiteModel:
    """One signature of a `.tflite` file, on one thread.

    Args:
        file: its path, or its content.
        signature: its name.
        name: of the file, for errors; None: its path.

    Attributes:
        input_quantization, output_quantization: `Quantization` by the name of the tensor.

    Raises:
        UserError: the file cannot be read, is not a TFLite model, or has no such signature.
        MissingExtraError: LiteRT is not installed.
    """

    def __init__(self, file: Path | str | bytes, signature: str = "serving_default", name: str | None = None):
        content = file if isinstance(file, bytes) else _read(Path(file))
        self._name = name or ("the content" if isinstance(file, bytes) else str(file))
        try:
            self._interpreter = _interpreter_class()(model_content=content, num_threads=1)
            runner = self._interpreter.get_signature_runner(signature)
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{self._name} is not a TFLite model with the signature {signature!r}: {_one_line(error)}"
            ) from error
        self._content, self._runner = content, runner
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        self.input_quantization = {name: _read_quantization(detail) for name, detail in inputs.items()}
        self.output_quantization = {name: _read_quantization(detail) for name, detail in outputs.items()}

    @property
    def operations(self) -> list[str]:
        """The names of the operations in the file, including those in loop bodies, without duplicates, sorted."""
        from ai_edge_litert import schema_py_generated as schema

        names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
        codes = schema.ModelT.InitFromPackedBuf(self._content, 0).operatorCodes
        return sorted({_custom_name(code) or names[code.builtinCode] for code in codes})

    @property
    def inputs(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shape (-1: any) and dtype of each input."""
        return {name: _read_spec(detail) for name, detail in self._runner.get_input_details().items()}

    @property
    def outputs(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shape (-1: any) and dtype of each output."""
        return {name: _read_spec(detail) for name, detail in self._runner.get_output_details().items()}

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the model once on real numbers; inputs are quantized and outputs dequantized as the file requires.

        Raises:
            LiteRTError: LiteRT cannot run the file.
        """
        try:
            outputs = self._runner(**self._quantize(inputs))
        except RuntimeError as error:
            raise LiteRTError(f"{self._name} cannot be run by LiteRT: {_one_line(error)}") from error
        return {name: self.output_quantization[name].dequantize(array) for name, array in outputs.items()}

    def latency_s(self, inputs: dict[str, np.ndarray], runs: int = 30) -> float:
        """Measure the median time of one run, in seconds, after a warm-up."""
        quantized = self._quantize(inputs)
        return median_seconds(lambda: self._runner(**quantized), runs)

    def _quantize(self, inputs):
        known = self.input_quantization  # LiteRT raises an error for a name that the file lacks
        return {name: known[name].quantize(array) if name in known else array for name, array in inputs.items()}


def list_signatures(content: bytes, name: str) -> list[str]:
    """List the names of a file's signatures.

    Args:
        content: of the file.
        name: of the file, for errors.

    Raises:
        UserError, MissingExtraError: see `TFLiteModel`.
    """
    try:
        return sorted(_interpreter_class()(model_content=content).get_signature_list())
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{name} is not a TFLite model: {_one_line(error)}") from error


def median_seconds(run: Callable[[], object], runs: int) -> float:
    """Measure the median time of one run, in seconds, after a warm-up."""
    times = []
    for _ in range(runs + 3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times[3:]))


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _interpreter_class():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError("ai-edge-litert", "recipes", "to run TFLite files") from error
    return Interpreter


def _one_line(error) -> str:
    return " ".join(str(error).split())


def _custom_name(code) -> str | None:
    return code.customCode.decode() if isinstance(code.customCode, bytes) else code.customCode


def _read_quantization(detail):
    scale, zero_point = detail["quantization"]
    return Quantization(np.dtype(detail["dtype"]), float(scale), int(zero_point))


def _read_spec(detail):
    return tuple(int(size) for size in detail["shape_signature"]), np.dtype(detail["dtype"])
