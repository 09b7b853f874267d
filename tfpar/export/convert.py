"""The TFLite converter in a process of its own: it may end its process with a segmentation fault, or never come back.

Run as `python -m tfpar.export.convert DIRECTORY FORMAT`; the directory holds `saved_model/` and, for 8-bit formats,
`calibration.npz`, and receives `model.tflite`.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tfpar.errors import UserError

LAST_LINES = 15


def convert(directory: Path, format_name: str, timeout_s: float) -> bytes:
    """Converts `directory/saved_model` in a fresh process.

    Raises:
        UserError: the converter failed, died or took longer than `timeout_s`; the message ends with its last words.
    """
    command = [sys.executable, "-m", "tfpar.export.convert", str(directory), format_name]
    root = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
    }
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=environment)
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"the TFLite converter did not finish the {format_name} file within {timeout_s:.0f} s"
        ) from error
    if done.returncode:
        died = f"died of signal {-done.returncode}" if done.returncode < 0 else "failed"
        words = "\n".join(done.stderr.strip().splitlines()[-LAST_LINES:])
        raise UserError(f"the TFLite converter {died} on the {format_name} file. Its last words:\n{words}")
    return (directory / "model.tflite").read_bytes()


def save_calibration(directory: Path, samples: dict[str, np.ndarray]) -> None:
    """Writes representative inputs, each (examples, ...), for `convert` to read."""
    np.savez(directory / "calibration.npz", **samples)


def _main(directory: Path, format_name: str) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(directory / "saved_model"))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if format_name != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if format_name == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if format_name == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: _rows(np.load(directory / "calibration.npz"))
    (directory / "model.tflite").write_bytes(converter.convert())


def _rows(samples):
    arrays = {name: samples[name] for name in samples.files}
    for row in range(len(next(iter(arrays.values())))):
        yield {name: array[row : row + 1] for name, array in arrays.items()}


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
