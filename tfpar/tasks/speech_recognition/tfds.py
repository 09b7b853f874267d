"""Speech from TensorFlow Datasets with one audio feature and one label."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.data.readers.tfds_sets import (
    classify_features,
    describe_splits,
    find_splits_of,
    prepare_builder,
    read_notice,
)
from tfpar.data.resampling import resample
from tfpar.errors import UserError
from tfpar.tasks.speech_recognition.data import CollectedSpeech

# Sets that do not state their rate.
_RATES_HZ = {"spoken_digit": 8000, "speech_commands": 16000}


def read_tfds_speech(name: str, rate_hz: int, cache_dir: Path | None = None) -> Any:
    """Prepare the set if need be, and read it.

    Args:
        name: NAME or NAME/CONFIG, as TFDS spells it.
        rate_hz: of the result.
        cache_dir: where to prepare it, in a folder `tfds`.

    Returns:
        `CollectedSpeech`; the class names; a notice with license and citation.

    Raises:
        UserError: no such set, it cannot be prepared, or its features are not one audio of known rate and one label.
        MissingExtraError: TensorFlow Datasets is not installed.
    """
    import tensorflow_datasets as tfds

    builder = prepare_builder(name, cache_dir)
    features = builder.info.features
    audio_key, label_key = _keys(features, name)
    source_hz = features[audio_key].sample_rate or _RATES_HZ.get(builder.name)
    if not source_hz:
        raise UserError(f"tfds:{name} does not state its sample rate; write its clips as WAV files for folder:PATH")
    collected = CollectedSpeech(f"tfds:{name}", rate_hz, given_rule=describe_splits(builder))
    for split, source in find_splits_of(builder, name).items():
        for example in tfds.as_numpy(builder.as_dataset(split=source, shuffle_files=False)):
            audio = np.asarray(example[audio_key])
            signal = (audio / 32768 if audio.dtype.kind in "iu" else audio).astype(np.float32).reshape(-1)
            if not len(signal):
                collected.skipped["empty"] += 1
                continue
            key = hashlib.md5(audio.tobytes()).hexdigest()
            collected.add(resample(signal, int(source_hz), rate_hz), int(example[label_key]), key, split)
    return collected, tuple(features[label_key].names), read_notice(builder.info)


def _keys(features, name):
    import tensorflow_datasets as tfds

    audios = [key for key, feature in features.items() if isinstance(feature, tfds.features.Audio)]
    labels = [key for key, kind in classify_features(features).items() if kind == "label"]
    if len(audios) == 1 and len(labels) == 1:
        return audios[0], labels[0]
    raise UserError(
        f"tfds:{name} is not a set of spoken words: expected one audio and one class label; got audios "
        f"{audios or 'none'} and labels {labels or 'none'}"
    )
