"""Speed of streaming recognition relative to real time."""

import time
from pathlib import Path

import numpy as np

from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.signatures import STEP

_REPEATS = 5


def real_time_factor(path: Path, frames: np.ndarray, rate_hz: int) -> float:
    """Return the seconds of sound per second of computation, step by step with explicit states.

    Args:
        path: of a TFLite file with the signature "step".
        frames: float32 (frames, samples of a frame).
        rate_hz: of the samples.
    """
    model = TFLiteModel(path, STEP)
    times_s = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        stream(model, frames)
        times_s.append(time.perf_counter() - start)
    return float(frames.size / rate_hz / np.median(times_s))


def stream(model: TFLiteModel, frames: np.ndarray) -> np.ndarray:
    """Return the probabilities after the last step, float (classes,).

    Args:
        model: the signature "step" of a file; a step takes one frame or several.
        frames: float32 (frames, samples of a frame); frames after the last full step are not used.
    """
    states = {name: np.zeros(shape, dtype) for name, (shape, dtype) in model.inputs.items() if name != "audio"}
    block = model.inputs["audio"][0][1]
    for start in range(0, len(frames) - block + 1, block):
        outputs = model(audio=frames[None, start : start + block], **states)
        states = {name: outputs[name] for name in states}
    return outputs["probabilities"][0]
