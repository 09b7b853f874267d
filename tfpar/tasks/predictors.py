"""Registry of the predictors of all tasks."""

import importlib
from typing import Any

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle

# Task: module and class. A class takes (bundle, format_name), has the attributes `format` and `input_kind`, and returns
# a JSON object for the arguments of one input. Its module imports no TensorFlow.
PREDICTORS = {
    "face_verification": ("tasks.face_recognition.predict", "FacePredictor"),
    "image_classification": ("tasks.image_classification.predict", "ImagePredictor"),
    "language_modeling": ("tasks.language_modeling.predict", "LanguagePredictor"),
    "model": ("export.generic.model_predictor", "ModelPredictor"),
    "speech": ("tasks.speech_recognition.predict", "SpeechPredictor"),
    "time_series_classification": ("tasks.time_series.predict", "SeriesClassifier"),
    "time_series_forecasting": ("tasks.time_series.predict", "SeriesForecaster"),
    "time_series_anomaly": ("tasks.time_series.predict_anomaly", "AnomalyDetector"),
    "translation": ("tasks.translation.predict", "TranslationPredictor"),
    "text_classification": ("tasks.text_classification.predict", "TextPredictor"),
}


def load_predictor(bundle: Bundle, format_name: str | None = None) -> Any:
    """Return the predictor for an export.

    Args:
        bundle: the export.
        format_name: "float32", "float16", "dynamic", "int8", ...; None: the first TFLite format that is there.

    Raises:
        UserError: there is no predictor for the task of the export; errors of the predictor.
        ChangedFileError: a sealed export has a file, link or directory that its manifest does not list.
    """
    if bundle.is_sealed:
        bundle.check_entries()
    bundle.manifest.entries("exports", "format")
    task = bundle.manifest.get("task")
    if task not in list(PREDICTORS):  # it may be anything that JSON knows
        raise UserError(f"{bundle.directory} holds a model for {task!r}; it must be for one of {', '.join(PREDICTORS)}")
    module, name = PREDICTORS[task]
    make = getattr(importlib.import_module(f"tfpar.{module}"), name)
    try:
        return make(bundle, format_name)
    except (UserError, MemoryError):
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # A manifest or a file of another kind than the task's, which the sha256 cannot tell.
        raise UserError(
            f"{bundle.directory} is not a complete export of a model for {task!r}: {error!r}; export it again"
        ) from error
