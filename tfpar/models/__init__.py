"""Builders of Keras models from layers. Wrap what they return in `tfpar.train.Model` to train it."""

from tfpar.models.decoding import Decoder
from tfpar.models.denoising_autoencoder import denoising_autoencoder
from tfpar.models.face_embedder import face_embedder, without_projection_head
from tfpar.models.gabor_embedder import gabor_embedder, within_class_whitening
from tfpar.models.image_classifier import image_classifier
from tfpar.models.joined_embedder import joined_embedder, nearest_mean_classifier
from tfpar.models.mean_over_views import mean_over_views
from tfpar.models.sequence_autoencoder import initialize_from_autoencoder, sequence_autoencoder
from tfpar.models.sequence_to_sequence import SequenceToSequence, sequence_to_sequence
from tfpar.models.speech_recogniser import speech_recogniser
from tfpar.models.text_classifier import CELLS, POOLINGS, text_classifier

__all__ = [
    "CELLS",
    "POOLINGS",
    "Decoder",
    "SequenceToSequence",
    "denoising_autoencoder",
    "face_embedder",
    "gabor_embedder",
    "image_classifier",
    "initialize_from_autoencoder",
    "joined_embedder",
    "mean_over_views",
    "nearest_mean_classifier",
    "sequence_autoencoder",
    "sequence_to_sequence",
    "speech_recogniser",
    "text_classifier",
    "within_class_whitening",
    "without_projection_head",
]
