"""TFLite converter as a separate process, because it may crash with a segmentation fault or never return.

Run as `python -m tfpar.export.conversion.converter_process`. It imports TensorFlow once and forks for each line of
standard input, a JSON list of a directory, a format and a target. The directory holds `saved_model/` and
`calibration.pickle`; the fork writes `model.tflite` and its log, `log.txt`, to it. The reply is a line with the exit
code of the fork.
"""

import json
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tfpar.export.formats import CALIBRATED

LOG = "log.txt"

_OPERATIONS = {
    "int8": "TFLITE_BUILTINS_INT8",
    "int16x8": "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8",
}


def convert_saved_model(directory: Path, format_name: str, target: str) -> None:
    """Convert `directory/saved_model` to `directory/model.tflite`."""
    with open(directory / "calibration.pickle", "rb") as file:
        rows, float_layers = pickle.load(file)  # trusted: the parent process wrote it
    if float_layers and format_name == "int8":
        content = _convert_with_float_layers(float_layers, directory, rows, target)
    else:
        content = _make_converter(directory, format_name, rows, target).convert()
    (directory / "model.tflite").write_bytes(content)


def _make_converter(directory, format_name, rows, target):
    import tensorflow as tf

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
    return converter


def _convert_with_float_layers(float_layers, directory, rows, target) -> bytes:
    """Convert to an int8 file in which the operations of some layers compute in float32."""
    import tensorflow as tf

    from tfpar.tensorflow_private import calibrate_only

    calibrator = _make_converter(directory, "int8", rows, target)
    calibrate_only(calibrator)
    names = _list_output_names(calibrator.convert())
    float_nodes = [name for name in names if any(f"/{layer}" in name for layer in float_layers)]
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=_make_converter(directory, "int8", rows, target),
        debug_dataset=lambda: iter(()),
        debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=float_nodes),
    )
    return debugger.get_nondebug_quantized_model()


def _list_output_names(content) -> list[str]:
    """List the names of the outputs of all operations, in all signatures."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    names = []
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            outputs = (operator.Outputs(index) for index in range(operator.OutputsLength()))
            names += [graph.Tensors(tensor).Name().decode() for tensor in outputs]
    return names


def serve(convert: Callable[[Path, str, str], None]) -> None:
    """Serve requests until standard input ends."""
    import tensorflow  # noqa: F401 - imported once, before the forks

    for line in sys.stdin:
        directory, *options = json.loads(line)
        print(_run_in_fork(convert, Path(directory), *options), flush=True)


def _run_in_fork(convert, directory, *options) -> int:
    child = os.fork()
    if child == 0:
        _run_and_exit(convert, directory, *options)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_and_exit(convert, directory, *options):
    """Run `convert` and end the process without the interpreter's clean-up, which belongs to the parent."""
    code = 1
    try:
        with open(directory / LOG, "wb", buffering=0) as log:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(log.fileno(), stream.fileno())
        convert(directory, *options)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(convert_saved_model)
