"""The formats that a model can leave in, and how far each may stray from the model."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Format:
    """A TFLite format.

    Attributes:
        name: as in `model.<name>.tflite`.
        max_relative_error: how far each output may be from Keras', as a share of its own largest value.
        max_accuracy_loss: how much the task's accuracy may fall, as a fraction.
        remedy: what to do when the error is larger.
    """

    name: str
    max_relative_error: float
    max_accuracy_loss: float
    remedy: str


_FLOAT_REMEDY = "this is a fault of the conversion: please report it with the model"

FORMATS = {
    "float32": Format("float32", 1e-5, 0.0, _FLOAT_REMEDY),
    "float16": Format("float16", 1e-2, 0.003, "use float32 if the weights do not fit float16's range"),
    "dynamic": Format("dynamic", 0.1, 0.003, "use float16, which is twice as large and closer"),
    "int16x8": Format("int16x8", 0.1, 0.003, "use dynamic, or give more and more varied calibration examples"),
    "int8": Format("int8", 0.25, 0.01, "give more and more varied calibration examples, or use dynamic"),
}

CALIBRATED = ("int8", "int16x8")  # need representative inputs

# Forms of a recurrence, where a format does not allow all: loops cannot be calibrated, and the converter has no fused
# LSTM of 16 bits.
FORMS_OF = {"int8": ("fused", "unrolled"), "int16x8": ("unrolled",)}

FORMS = ("auto", "fused", "loop", "chunked", "unrolled")
TARGETS = ("phone", "desktop", "micro")

# Why target "micro" took a form: the first of those that its format allows and TFLite Micro runs.
MICRO_REASONS = {
    "fused": "TFLite Micro has one operation for a whole LSTM, the smallest form",
    "loop": "TFLite Micro has no operation for the whole cell; a loop is the smallest form that it runs",
    "chunked": "TFLite Micro has no operation for the whole cell, and cannot run its plain loop",
    "unrolled": "TFLite Micro has no operation for the whole cell, and no loop over it that this format allows",
}
