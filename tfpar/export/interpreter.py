"""Runs a `.tflite` file with LiteRT and NumPy alone, as a phone would."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfpar.errors import MissingExtraError, UserError


class TFLiteModel:
    """One signature of a `.tflite` file, on one thread.

    Args:
        file: its path, or its content.
        signature: its name.
        name: of the file, for errors; None: its path.

    Raises:
        UserError: the file cannot be read or is no TFLite model, or has no such signature.
        MissingExtraError: LiteRT is not installed.
    """

    def __init__(self, file: Path | str | bytes, signature: str = "serving_default", name: str | None = None):
        content = file if isinstance(file, bytes) else _read(Path(file))
        try:
            self._interpreter = _interpreter_class()(model_content=content, num_threads=1)
            runner = self._interpreter.get_signature_runner(signature)
        except ValueError as error:
            name = name or ("the content" if isinstance(file, bytes) else file)
            raise UserError(f"{name} is not a TFLite model with the signature {signature!r}: {error}") from error
        self._runner = runner

    @property
    def operations(self) -> list[str]:
        """The names of the operations in the file, each once, sorted."""
        details = self._interpreter._get_ops_details()
        return sorted({detail["op_name"] for detail in details} - {"DELEGATE"})

    @property
    def inputs(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shape (-1: any) and dtype of each input."""
        return {name: _signature(detail) for name, detail in self._runner.get_input_details().items()}

    @property
    def outputs(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shape (-1: any) and dtype of each output."""
        return {name: _signature(detail) for name, detail in self._runner.get_output_details().items()}

    def described(self) -> dict[str, list[dict]]:
        """Inputs and outputs as a manifest lists them."""
        return {
            kind: [
                {"name": name, "shape": list(shape), "dtype": str(dtype)} for name, (shape, dtype) in tensors.items()
            ]
            for kind, tensors in (("inputs", self.inputs), ("outputs", self.outputs))
        }

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the model once."""
        return self._runner(**inputs)

    def latency_s(self, inputs: dict[str, np.ndarray], runs: int = 30) -> float:
        """Median time of one run, in seconds, after a warm-up."""
        return median_seconds(lambda: self._runner(**inputs), runs)


def median_seconds(run: Callable[[], object], runs: int) -> float:
    """Median time of one run, after a warm-up."""
    times = []
    for _ in range(runs + 3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times[3:]))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _interpreter_class():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError("ai-edge-litert", "recipes", "to run TFLite files") from error
    return Interpreter


def _signature(detail):
    return tuple(int(size) for size in detail["shape_signature"]), np.dtype(detail["dtype"])
