"""Patches a converted TFLite file: resets LSTM states in each run, repairs quantization scales, removes redundant data.

- State: `UNIDIRECTIONAL_SEQUENCE_LSTM` writes h and c to variable tensors, and the next run starts from them unless
  the application resets all variables. The converter accepts only constants as initial states. The patch inserts a
  `SLICE` before each such operation, which copies zeros into its states in every run.
- Clipping: the converter clips c to [-10, 10]. A trained LSTM that counts exceeds this range; the patch removes the
  limit.
- Scale of h: an 8-bit LSTM writes h to its output and reads it back as its state, so both need one scale. Calibration
  gives three, since it observes the output of every step but the state only after the last one. LiteRT and TFLite
  Micro then give different wrong outputs. The patch uses the output's scale for all three.
- Scale of c: an 8-bit LSTM stores c in 16 bits. For a range below 1 the kernel has no tanh and silently does not write
  its output. The patch raises such a scale to the smallest one that works.
- Scale of addends: in an unrolled cell a matmul's output may be zero throughout calibration, because h is zero while
  all steps are masked. XNNPACK refuses to add a tensor of so small a scale; the patch raises it.
- Size: names of inner tensors take more bytes than the weights where many steps are unrolled; the patch removes them
  and stores equal constants once.
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
_SMALLEST_ADDEND = 2.0**-9  # relative to the scale of the sum; XNNPACK accepts half of it
_NUMPY_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
}


def patch_tflite(content: bytes, output_names: dict[str, list[str]] | None = None) -> bytes:
    """Patch a TFLite model and order the outputs of each signature.

    Args:
        content: of the file, as the converter wrote it.
        output_names: of each signature, in the order wanted; None: the converter's order.

    Returns:
        The content of the patched file.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for signature in model.signatureDefs or ():
        _order_outputs(model, signature, (output_names or {}).get(signature.signatureKey.decode(), []))
    for subgraph in model.subgraphs:
        _raise_addend_scales(model, subgraph)
        lstms = _fused_lstms(model, subgraph)
        for operator in lstms:
            _scale_hidden_as_output(subgraph, operator)
            operator.builtinOptions.cellClip = 0.0  # none
        states = {operator.inputs[i] for operator in lstms for i in _STATE_INPUTS}
        for state in states:
            _raise_cell_scale(subgraph.tensors[state])
        if states:
            # In float16 files a DEQUANTIZE of constant zeros, which runs once, writes the states: remove it.
            rest = [op for op in subgraph.operators if not states.intersection(op.outputs)]
            subgraph.operators = [_make_reset_operator(model, subgraph, state) for state in sorted(states)] + rest
        _remove_inner_names(subgraph)
    _deduplicate_buffers(model)
    return _pack(model)


def _order_outputs(model, signature, names):
    """Restore the order of outputs, which the converter sorts by name."""
    index = {entry.name.decode(): entry for entry in signature.outputs}
    if sorted(index) == sorted(names):
        signature.outputs = [index[name] for name in names]
        model.subgraphs[signature.subgraphIndex].outputs = [entry.tensorIndex for entry in signature.outputs]


def _remove_inner_names(subgraph):
    named = {*subgraph.inputs, *subgraph.outputs}
    for index, tensor in enumerate(subgraph.tensors):
        if index not in named:
            tensor.name = None


def _deduplicate_buffers(model):
    index_of_content: dict[bytes | None, int] = {}
    new_index: dict[int, int] = {}
    unique: list = []
    for index, buffer in enumerate(model.buffers):
        content = None if buffer.data is None else bytes(buffer.data)
        if content not in index_of_content or content is None:
            index_of_content[content] = len(unique)
            unique.append(buffer)
        new_index[index] = index_of_content[content]
    model.buffers = unique
    for holder in itertools.chain(*(subgraph.tensors for subgraph in model.subgraphs), model.metadata or ()):
        holder.buffer = new_index[holder.buffer]


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


def _raise_addend_scales(model, subgraph):
    """Raise the scales of matmul outputs that are too small relative to the sum that they are added to."""
    matmul_of: dict[int, int] = {}  # slices of a matmul's output have its scale
    smallest: dict[int, float] = {}
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


def _raise_cell_scale(tensor):
    """Raise the scale of a 16-bit cell state to a range of at least [-1, 1]."""
    if tensor.type == schema.TensorType.INT16:
        tensor.quantization.scale = [max(float(tensor.quantization.scale[0]), _SMALLEST_CELL_SCALE)]


def _make_reset_operator(model, subgraph, state):
    """Make an operator that copies zeros into the tensor `state`."""
    tensor = subgraph.tensors[state]
    zero_point = int(tensor.quantization.zeroPoint[0]) if _is_quantized(tensor) else 0
    shape = np.asarray(tensor.shape, np.int32)
    zeros = np.full(shape, zero_point, _NUMPY_TYPES[tensor.type])
    operator = schema.OperatorT()
    operator.opcodeIndex = _find_or_add_slice_code(model)
    operator.inputs = [
        _add_constant(model, subgraph, zeros, tensor.type, tensor.quantization),
        _add_constant(model, subgraph, np.zeros_like(shape), schema.TensorType.INT32),
        _add_constant(model, subgraph, shape, schema.TensorType.INT32),
    ]
    operator.outputs = [state]
    operator.builtinOptionsType = schema.BuiltinOptions.SliceOptions
    operator.builtinOptions = schema.SliceOptionsT()
    return operator


def _is_quantized(tensor):
    return (
        tensor.quantization is not None
        and tensor.quantization.zeroPoint is not None
        and len(tensor.quantization.zeroPoint)
    )


def _add_constant(model, subgraph, array, dtype, quantization=None):
    """Add a constant tensor and return its index; equal bytes share one buffer."""
    tensor = schema.TensorT()
    tensor.name = f"initial_state/{len(subgraph.tensors)}"
    tensor.shape, tensor.type, tensor.quantization = list(array.shape), dtype, quantization
    tensor.buffer = _find_or_add_buffer(model, array.tobytes())
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def _find_or_add_buffer(model, content):
    for index, buffer in enumerate(model.buffers):
        if buffer.data is not None and len(buffer.data) == len(content) and bytes(buffer.data) == content:
            return index
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _find_or_add_slice_code(model):
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
