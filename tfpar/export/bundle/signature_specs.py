"""One signature of a `.tflite` file, as the manifest lists it."""

from tfpar.export.conversion.interpreter import TFLiteModel


def describe_signature(file: TFLiteModel) -> dict:
    """Returns {"inputs", "outputs"}, lists of {"name", "shape", "dtype"}; if quantised, with "scale", "zero_point"."""
    return {
        "inputs": _tensors(file.inputs, file.input_quantization),
        "outputs": _tensors(file.outputs, file.output_quantization),
    }


def _tensors(tensors, quantisation):
    return [
        {"name": name, "shape": list(shape), "dtype": str(dtype), **_scaling(quantisation[name])}
        for name, (shape, dtype) in tensors.items()
    ]


def _scaling(quantisation):
    if not quantisation.is_quantized:
        return {}
    return {"scale": quantisation.scale, "zero_point": quantisation.zero_point}
