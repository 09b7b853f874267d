"""Mends a TFLite file: fused LSTMs forget between runs, but nothing within one, and 8-bit cells hold small values, too.

TFLite's `UNIDIRECTIONAL_SEQUENCE_LSTM` leaves h and c in its state tensors and begins the next run with them, unless
the application resets all variables before each run. The converter cannot be told otherwise: it accepts nothing but
constants as initial states. So the finished file gets a `SLICE` in front of each such operation, which copies zeros
into its states whenever the model runs.

The converter has the operation clip c to [-10, 10]. A trained LSTM that counts goes beyond; no limit is set.

An 8-bit LSTM feeds the h that it writes into its output back as its state, so both must have one scale. Calibration
gives three: it sees the output of every step, but the state only after the last one, which may be far smaller. LiteRT
and TFLite Micro then each go astray, in ways of their own. The output's scale is taken for all.

An 8-bit LSTM holds c in 16 bits, scaled by what calibration saw. For a range below 1 the kernel has no tanh and
leaves its output as it was, without a word; such a scale is raised to the smallest that works.

Where the steps of another cell are written out, a matmul's output may have been zero throughout calibration: h is, as
long as all steps are masked. Its scale is then so small that XNNPACK refuses to add it to anything; it is raised, too.

What each tensor between the first and the last was called in TensorFlow takes more bytes than the weights where many
steps are written out; these names go. Equal constants are kept once.
"""

import itertools

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_STATE_INPUTS = (18, 19)  # input_activation_state, input_cell_state
_HIDDEN_INTERMEDIATE = 4
_SMALLEST_CELL_SCALE = 2.0**-15
_SLICES = (
    schema.BuiltinOperator.SLICE,
    schema.BuiltinOperator.SPLIT,
    schema.BuiltinOperator.SPLIT_V,
    schema.BuiltinOperator.STRIDED_SLICE,
)
_SMALLEST_ADDEND = 2.0**-9  # of the scale of the sum; XNNPACK takes half of it
_NUMPY_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
}


def patch_tflite(content: bytes, output_names: dict[str, list[str]] | None = None) -> bytes:
    """Patch a TFLite model, and put the outputs of each signature in the order of `output_names`."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for signature in model.signatureDefs or ():
        _order_outputs(model, signature, (output_names or {}).get(signature.signatureKey.decode(), []))
    for subgraph in model.subgraphs:
        _widen_addends(model, subgraph)
        lstms = _fused_lstms(model, subgraph)
        for operator in lstms:
            _scale_hidden_as_output(subgraph, operator)
            operator.builtinOptions.cellClip = 0.0  # none
        states = {operator.inputs[i] for operator in lstms for i in _STATE_INPUTS}
        for state in states:
            _widen(subgraph.tensors[state])
        if states:
            # In float16 files the states come out of a DEQUANTIZE of constant zeros, which runs once: it goes.
            rest = [op for op in subgraph.operators if not states.intersection(op.outputs)]
            subgraph.operators = [_zeroing(model, subgraph, state) for state in sorted(states)] + rest
        _drop_names(subgraph)
    _share_buffers(model)
    return _pack(model)


def _order_outputs(model, signature, names):
    """The converter sorts outputs by name."""
    index = {entry.name.decode(): entry for entry in signature.outputs}
    if sorted(index) == sorted(names):
        signature.outputs = [index[name] for name in names]
        model.subgraphs[signature.subgraphIndex].outputs = [entry.tensorIndex for entry in signature.outputs]


def _drop_names(subgraph):
    named = {*subgraph.inputs, *subgraph.outputs}
    for index, tensor in enumerate(subgraph.tensors):
        if index not in named:
            tensor.name = None


def _share_buffers(model):
    first, place, kept = {}, {}, []
    for index, buffer in enumerate(model.buffers):
        content = None if buffer.data is None else bytes(buffer.data)
        if content not in first or content is None:
            first[content] = len(kept)
            kept.append(buffer)
        place[index] = first[content]
    model.buffers = kept
    for holder in itertools.chain(*(subgraph.tensors for subgraph in model.subgraphs), model.metadata or ()):
        holder.buffer = place[holder.buffer]


def _fused_lstms(model, subgraph):
    def is_fused_lstm(operator):
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        return code == schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM

    return [operator for operator in subgraph.operators if is_fused_lstm(operator)]


def _scale_hidden_as_output(subgraph, lstm):
    output = subgraph.tensors[lstm.outputs[0]]
    if output.type == schema.TensorType.INT8:
        for index in (lstm.inputs[_STATE_INPUTS[0]], lstm.intermediates[_HIDDEN_INTERMEDIATE]):
            subgraph.tensors[index].quantization = output.quantization


def _widen_addends(model, subgraph):
    """Gives outputs of matmuls that are added to something a scale that is not out of all proportion to the sum's."""
    matmul_of, smallest = {}, {}  # slices of a matmul's output have its scale
    for operator in subgraph.operators:
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        if kind == schema.BuiltinOperator.FULLY_CONNECTED:
            matmul_of[operator.outputs[0]] = operator.outputs[0]
        sliced = [matmul_of[tensor] for tensor in operator.inputs if tensor in matmul_of]
        if kind in _SLICES and sliced:
            matmul_of.update(dict.fromkeys(operator.outputs, sliced[0]))
        total = subgraph.tensors[operator.outputs[0]]
        if kind == schema.BuiltinOperator.ADD and total.type == schema.TensorType.INT8:
            needed = float(total.quantization.scale[0]) * _SMALLEST_ADDEND
            smallest.update({matmul: max(needed, smallest.get(matmul, 0)) for matmul in sliced})
    for index, matmul in matmul_of.items():
        if matmul in smallest:
            quantization = subgraph.tensors[index].quantization
            quantization.scale = [max(float(quantization.scale[0]), smallest[matmul])]


def _widen(tensor):
    """Lets a 16-bit cell reach at least from -1 to 1."""
    if tensor.type == schema.TensorType.INT16:
        tensor.quantization.scale = [max(float(tensor.quantization.scale[0]), _SMALLEST_CELL_SCALE)]


def _zeroing(model, subgraph, state):
    """An operator that copies zeros into the tensor `state`."""
    tensor = subgraph.tensors[state]
    zero_point = int(tensor.quantization.zeroPoint[0]) if _is_quantised(tensor) else 0
    shape = np.asarray(tensor.shape, np.int32)
    zeros = np.full(shape, zero_point, _NUMPY_TYPES[tensor.type])
    operator = schema.OperatorT()
    operator.opcodeIndex = _slice_code(model)
    operator.inputs = [
        _constant(model, subgraph, zeros, tensor.type, tensor.quantization),
        _constant(model, subgraph, np.zeros_like(shape), schema.TensorType.INT32),
        _constant(model, subgraph, shape, schema.TensorType.INT32),
    ]
    operator.outputs = [state]
    operator.builtinOptionsType = schema.BuiltinOptions.SliceOptions
    operator.builtinOptions = schema.SliceOptionsT()
    return operator


def _is_quantised(tensor):
    return (
        tensor.quantization is not None
        and tensor.quantization.zeroPoint is not None
        and len(tensor.quantization.zeroPoint)
    )


def _constant(model, subgraph, array, dtype, quantization=None):
    """Adds a constant tensor and returns its index; equal bytes share one buffer."""
    tensor = schema.TensorT()
    tensor.name = f"initial_state/{len(subgraph.tensors)}"
    tensor.shape, tensor.type, tensor.quantization = list(array.shape), dtype, quantization
    tensor.buffer = _buffer(model, array.tobytes())
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def _buffer(model, content):
    for index, buffer in enumerate(model.buffers):
        if buffer.data is not None and len(buffer.data) == len(content) and bytes(buffer.data) == content:
            return index
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _slice_code(model):
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == schema.BuiltinOperator.SLICE:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SLICE
    code.version = 4  # the first with 16-bit tensors
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _pack(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
