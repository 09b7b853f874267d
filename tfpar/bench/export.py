"""Times one competitor's inference of one sequence from a file: `python -m tfpar.bench.export COMPETITOR CASE`.

A classifier of 100 steps of 128 features, two classes, one thread, the same weights for all. Ours is the file that
`tfpar.export.tflite` writes in the case's format for a desktop or, in some cases, for a phone. Keras' is converted from
stock layers in float32 by the TFLite converter (with a batch of one; other sizes need operations that LiteRT lacks).
ONNX Runtime has its own LSTM, in float32.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

TIME, FEATURES, CLASSES = 100, 128, 2
CASES = tuple(
    f"{network} T{TIME} I{FEATURES}, {format_name}"
    for network in ("bilstm 128", "lstm 256")
    for format_name in ("float32", "dynamic", "int8", "int8 phone")
)
PEERS = ("keras", "onnxruntime")
PACKAGES = {"onnxruntime": ("onnx", "onnxruntime")}
REFERENCES = ()
RUNS = 200


def _parse_case(case):
    match = re.fullmatch(r"(\w+) (\d+) .*, (\w+)( phone)?", case)
    assert match is not None  # `CASES` has no other
    network, units, format_name, target = match.groups()
    return network == "bilstm", int(units), format_name, "phone" if target else "desktop"


def rows() -> np.ndarray:
    """Draw inputs, float32 (32, time, features)."""
    return np.random.default_rng(0).normal(size=(32, TIME, FEATURES)).astype(np.float32)


def weights(bidirectional: bool, units: int) -> list[np.ndarray]:
    """Draw weights in Keras' order: kernel, recurrent kernel and bias of each direction, then those of the output."""
    generator = np.random.default_rng(1)
    directions = 1 + bidirectional
    shapes = [(FEATURES, 4 * units), (units, 4 * units), (4 * units,)] * directions
    shapes += [(directions * units, CLASSES), (CLASSES,)]
    return [generator.normal(size=shape, scale=shape[0] ** -0.5).astype(np.float32) for shape in shapes]


def _model(bidirectional, units, ours):
    import keras

    import tfpar

    layers = tfpar.layers if ours else keras.layers
    layer = layers.LSTM(units)
    inputs = keras.Input((TIME, FEATURES), batch_size=1, name="x")
    x = layers.Bidirectional(layer)(inputs) if bidirectional else layer(inputs)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, name="y")(x))
    model.set_weights(weights(bidirectional, units))
    return model


def time_tfpar(bidirectional: bool, units: int, format_name: str, target: str) -> dict:
    """Time tfpar's file."""
    import tfpar

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.tflite"
        model = _model(bidirectional, units, ours=True)
        report = tfpar.export.tflite(model, path, quantize=format_name, calibration={"x": rows()}, target=target)
        seconds = tfpar.export.TFLiteModel(path).latency_s({"x": rows()[:1]}, RUNS)
    return {"seconds": seconds, "form": report["form"], "bytes": report["bytes"]}


def time_keras(bidirectional: bool, units: int, *_) -> dict:
    """Time the file that the converter writes for stock Keras layers."""
    import tensorflow as tf

    import tfpar

    converter = tf.lite.TFLiteConverter.from_keras_model(_model(bidirectional, units, ours=False))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.tflite"
        path.write_bytes(converter.convert())
        return {"seconds": tfpar.export.TFLiteModel(path).latency_s({"x": rows()[:1]}, RUNS)}


def onnx_session(bidirectional: bool, units: int):
    """Make an ONNX Runtime session of the same network, "x" (1, time, features) -> (1, classes)."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    *cells, output, output_bias = weights(bidirectional, units)
    directions = [cells[i : i + 3] for i in range(0, len(cells), 3)]

    def onnx_gates(array):  # i f g o to i o f g, gates first
        i, f, g, o = np.split(array, 4, axis=-1)
        return np.concatenate([i, o, f, g], axis=-1).T

    constants = {
        "W": np.stack([onnx_gates(kernel) for kernel, _, _ in directions]),
        "R": np.stack([onnx_gates(recurrent) for _, recurrent, _ in directions]),
        "B": np.stack([np.concatenate([onnx_gates(bias), np.zeros_like(bias)]) for _, _, bias in directions]),
        "V": output,
        "b": output_bias,
        "flat": np.array([1, len(directions) * units]),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["time_major"], perm=[1, 0, 2]),
        helper.make_node(
            "LSTM",
            ["time_major", "W", "R", "B"],
            ["", "h"],
            hidden_size=units,
            direction="bidirectional" if bidirectional else "forward",
        ),
        helper.make_node("Transpose", ["h"], ["batch_first"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["batch_first", "flat"], ["features"]),
        helper.make_node("Gemm", ["features", "V", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, TIME, FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def time_onnxruntime(bidirectional: bool, units: int, *_) -> dict:
    """Time ONNX Runtime, in float32."""
    from tfpar.export.conversion.interpreter import median_seconds

    session, inputs = onnx_session(bidirectional, units), {"x": rows()[:1]}
    return {"seconds": median_seconds(lambda: session.run(None, inputs), RUNS)}


COMPETITORS = {"tfpar": time_tfpar, "keras": time_keras, "onnxruntime": time_onnxruntime}


def row(case: str, seconds: dict[str, float]) -> dict:
    """Make the row of a case from the median seconds of each competitor."""
    return {"case": case}


if __name__ == "__main__":
    print(json.dumps(COMPETITORS[sys.argv[1]](*_parse_case(sys.argv[2]))))
