"""The TFLite converter in a process of its own: it may end its process with a segmentation fault, or never come back.

Run as `python -m tfpar.export.convert DIRECTORY FORMAT TARGET`; the directory holds `saved_model/` and, for 8-bit
formats, `calibration.pickle`, and receives `model.tflite`.
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.formats import CALIBRATED

_OPERATIONS = {
    "int8": "TFLITE_BUILTINS_INT8",
    "int16x8": "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8",
}
LAST_LINES = 15


def convert(directory: Path, format_name: str, timeout_s: float, target: str = "phone") -> bytes:
    """Converts `directory/saved_model` in a fresh process.

    For the target "micro" an int8 file takes and gives 8-bit numbers; those of other targets take and give floats.

    Raises:
        UserError: the converter failed, died or took longer than `timeout_s`; the message ends with its last words.
    """
    command = [sys.executable, "-m", "tfpar.export.convert", str(directory), format_name, target]
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


def save_calibration(directory: Path, rows: dict[str, list[dict[str, np.ndarray]]]) -> None:
    """Writes representative inputs, rows by signature, for `convert` to read."""
    with open(directory / "calibration.pickle", "wb") as file:
        pickle.dump(rows, file)


def _main(directory: Path, format_name: str, target: str) -> None:
    import tensorflow as tf

    with open(directory / "calibration.pickle", "rb") as file:
        rows = pickle.load(file)  # our own, written by the process that started this one
    converter = tf.lite.TFLiteConverter.from_saved_model(str(directory / "saved_model"), signature_keys=list(rows))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if format_name != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if format_name == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if format_name in CALIBRATED:
        converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, _OPERATIONS[format_name])]
        converter.representative_dataset = lambda: ((name, row) for name, of in rows.items() for row in of)
    if target == "micro" and format_name == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8  # integer inputs stay as they are
    (directory / "model.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    _main(Path(sys.argv[1]), *sys.argv[2:])
