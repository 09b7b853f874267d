"""Specifications of a `.tflite` file's signatures for the manifest."""

from tfpar.export.conversion.interpreter import TFLiteModel


def describe_signature(file: TFLiteModel) -> dict[str, list[dict]]:
    """Describe a signature for the manifest.

    Returns:
        {"inputs", "outputs"}, lists of {"name", "shape", "dtype"} and, if quantized, "scale" and "zero_point".
    """
    return {
        "inputs": _describe_tensors(file.inputs, file.input_quantization),
        "outputs": _describe_tensors(file.outputs, file.output_quantization),
    }


def _describe_tensors(tensors, quantization):
    return [
        {"name": name, "shape": list(shape), "dtype": str(dtype), **_describe_scale(quantization[name])}
        for name, (shape, dtype) in tensors.items()
    ]


def _describe_scale(quantization):
    if not quantization.is_quantized:
        return {}
    return {"scale": quantization.scale, "zero_point": quantization.zero_point}
