"""Speech recognizers without the front end: the host computes the log-mel spectrogram.

Powers span more than the 8 bits of a microcontroller's file. What follows the spectrogram does not.
"""

import keras

from tfpar.errors import UserError
from tfpar.export.conversion.serving import serving_model
from tfpar.layers import LogMelSpectrogram


def cut_behind_front_end(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a recognizer into two models that share its weights.

    Args:
        model: "audio" -> one output, with one `LogMelSpectrogram` that alone reads the audio.

    Returns:
        "audio" -> float32 (batch, frames, bands), and that -> the output, under the name of the layer.

    Raises:
        UserError: the model has no such layer.
    """
    front_ends = [layer for layer in model.layers if isinstance(layer, LogMelSpectrogram)]
    if len(front_ends) != 1:
        raise UserError(f"{model.name} cannot be cut behind its front end: it needs one LogMelSpectrogram")
    (front_end,) = front_ends
    spectrogram = front_end.output
    given = keras.Input(spectrogram.shape[1:], name=front_end.name)
    outputs_of_step = keras.Model(spectrogram, model.output)(given)
    (name,) = serving_model(model).output_names
    rest = keras.Model(given, keras.layers.Identity(name=name)(outputs_of_step), name=model.name)
    return keras.Model(model.input, spectrogram, name="front_end"), rest
