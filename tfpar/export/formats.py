"""Formats of exported models and their tolerances; forms of a recurrence; targets."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Format:
    """A TFLite format.

    Attributes:
        name: as in `model.<name>.tflite`.
        max_relative_error: tolerance of each output's difference from Keras, relative to its largest value.
        max_accuracy_loss: tolerance of the loss of the task's accuracy, as a fraction.
        remedy: advice for a file that exceeds a tolerance.
    """

    name: str
    max_relative_error: float
    max_accuracy_loss: float
    remedy: str


_FLOAT_REMEDY = "this is a fault of the conversion: please report it with the model"

FORMATS = {
    "float32": Format("float32", 1e-5, 0.0, _FLOAT_REMEDY),
    "float16": Format("float16", 1e-2, 0.003, "use float32 if the weights do not fit float16's range"),
    "dynamic": Format("dynamic", 0.1, 0.003, "use float16, which is twice as large and more accurate"),
    "int16x8": Format("int16x8", 0.1, 0.003, "use dynamic, or give more and more varied calibration examples"),
    "int8": Format("int8", 0.25, 0.01, "give more and more varied calibration examples, or use dynamic"),
}

CALIBRATED = ("int8", "int16x8")  # formats that need representative inputs

# Forms that a format allows, if not all: loops cannot be calibrated, and the converter has no fused 16-bit LSTM.
FORMS_OF = {"int8": ("fused", "unrolled"), "int16x8": ("unrolled",)}

FORMS = ("auto", "fused", "loop", "chunked", "unrolled")
TARGETS = ("phone", "desktop", "micro")

# Reasons for the form that target "micro" uses: the first that the format allows and TFLite Micro runs.
MICRO_REASONS = {
    "fused": "TFLite Micro has a fused LSTM op, the smallest form",
    "loop": "TFLite Micro has no fused op for this cell; a loop is the smallest form that it runs",
    "chunked": "TFLite Micro has no fused op for this cell and cannot run its plain loop",
    "unrolled": "TFLite Micro has no fused op for this cell, and this format allows no loop",
}
