"""Models on their way out: SavedModel and TFLite, measured before they leave.

The names below load when they are first asked for: `TFLiteModel` needs NumPy and LiteRT alone.
"""

import importlib

_HOME = {
    "Bundle": "bundle",
    "FORMATS": "formats",
    "FaceExport": "image_export",
    "ImageClassifierExport": "image_export",
    "MicroModel": "micro",
    "SpeechExport": "speech_export",
    "TFLiteModel": "interpreter",
    "TextClassifierExport": "classifier",
    "TextPredictor": "text_predictor",
    "TranslatorExport": "translator",
    "averaged": "face_predictor",
    "check_micro": "micro",
    "check_writable": "bundle",
    "equal_error_rate": "verification",
    "export_model": "model_export",
    "from_keras": "stock_keras",
    "from_torch": "pytorch",
    "load_predictor": "predictors",
    "pair_cosines": "verification",
    "run_in_micro": "micro_process",
    "saved_model": "to_saved_model",
    "seal_bundle": "seal",
    "tflite": "to_tflite",
    "unseal_bundle": "seal",
    "verify_bundle": "verify",
    "versions": "made_with",
    "write_bundle": "bundle",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    return getattr(module, name)
