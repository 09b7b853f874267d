"""Data: doors to labelled texts and to translations, tokenizers outside the model, batches of a fixed set of shapes.

The names below are loaded when they are first asked for; importing this package imports neither TensorFlow nor
TensorFlow Datasets.
"""

import importlib

_HOME = {
    "BEGIN_ID": "trained_tokenizer",
    "Clips": "clips",
    "END_ID": "trained_tokenizer",
    "ImageData": "labelled_images",
    "LabelledImages": "labelled_images",
    "LabelledTexts": "labelled_texts",
    "Pairs": "translation_pairs",
    "PinnedMember": "wheels",
    "SpeechData": "speech_data",
    "SubwordTokenizer": "subwords",
    "TextClassificationData": "labelled_texts",
    "Tokenizer": "text",
    "TranslationPairs": "translation_pairs",
    "affine": "augment_geometry",
    "augmented": "audio_augmentation",
    "bucket_boundaries": "bucketing",
    "bucketed_batches": "bucketing",
    "cutout": "augment_values",
    "decode": "transcripts",
    "elastic": "augment_geometry",
    "fetch": "wheels",
    "flip": "augment_geometry",
    "frequent_bigrams": "naive_bayes",
    "generated_image_classification": "generated_images",
    "generated_speech": "speech_sources",
    "generated_text_classification": "generated",
    "generated_translation": "generated_pairs",
    "image_batches": "image_stream",
    "import_jiwer": "transcripts",
    "input_order": "bucketing",
    "light": "augment_values",
    "load_images": "image_sources",
    "load_speech": "speech_sources",
    "load_text_classification": "sources",
    "load_translation": "translation_sources",
    "log_odds": "naive_bayes",
    "ngram_ids": "naive_bayes",
    "noise": "augment_values",
    "padded_batches": "padded",
    "padding_fraction": "bucketing",
    "plan_epoch": "bucketing",
    "read_wav": "wav",
    "resample": "resampling",
    "room_lengths": "speech_stream",
    "speech_batches": "speech_stream",
    "spelt": "transcripts",
    "split_classes": "image_people",
    "standard_distortions": "audio_augmentation",
    "string_errors": "transcripts",
    "translation_batches": "pair_batches",
    "translation_boundaries": "pair_buckets",
    "translation_padding_fraction": "pair_plan",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
