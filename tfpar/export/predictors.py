"""Which predictor answers for which task. A new task is one line here."""

import importlib

from tfpar.errors import UserError
from tfpar.export.bundle import Bundle

# Task: module and class. A class takes (bundle, format_name), has the attribute `format`, and answers for one input,
# given as a string, with a JSON object; for `inputs_each` inputs, if it has that attribute. Its module imports no
# TensorFlow.
PREDICTORS = {
    "face_verification": ("face_predictor", "FacePredictor"),
    "image_classification": ("image_predictor", "ImagePredictor"),
    "model": ("model_predictor", "ModelPredictor"),
    "speech": ("speech_predictor", "SpeechPredictor"),
    "translation": ("translation_predictor", "TranslationPredictor"),
    "text_classification": ("text_predictor", "TextPredictor"),
}


def load_predictor(bundle: Bundle, format_name: str | None = None):
    """The predictor for an export.

    Args:
        bundle: the export.
        format_name: "float32", "float16", "dynamic", "int8", ...; None: the first TFLite format that is there.

    Raises:
        UserError: nothing here answers for the export's task; errors of the predictor.
    """
    bundle.manifest.entries("exports", "format")
    task = bundle.manifest.get("task")
    if task not in list(PREDICTORS):  # it may be anything that JSON knows
        raise UserError(f"{bundle.directory} holds a model for {task!r}; it must be for one of {', '.join(PREDICTORS)}")
    module, name = PREDICTORS[task]
    return getattr(importlib.import_module(f"tfpar.export.{module}"), name)(bundle, format_name)
