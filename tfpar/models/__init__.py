"""Builders of Keras models. To train a model, wrap it in `tfpar.train.Model`."""

from tfpar.models.anomaly_autoencoder import anomaly_autoencoder
from tfpar.models.decoding import Decoder
from tfpar.models.deep_ar import DeepAR, deep_ar
from tfpar.models.denoising_autoencoder import denoising_autoencoder
from tfpar.models.forecaster import forecaster
from tfpar.models.image_classifier import image_classifier
from tfpar.models.language_model import language_model
from tfpar.models.sequence_autoencoder import initialize_from_autoencoder, sequence_autoencoder
from tfpar.models.sequence_to_sequence import SequenceToSequence, sequence_to_sequence
from tfpar.models.text_classifier import CELLS, POOLINGS, text_classifier
from tfpar.models.time_series_classifier import time_series_classifier

__all__ = [
    "CELLS",
    "POOLINGS",
    "Decoder",
    "DeepAR",
    "SequenceToSequence",
    "anomaly_autoencoder",
    "deep_ar",
    "denoising_autoencoder",
    "forecaster",
    "image_classifier",
    "initialize_from_autoencoder",
    "language_model",
    "sequence_autoencoder",
    "sequence_to_sequence",
    "text_classifier",
    "time_series_classifier",
]
