"""Keras layers."""

from tfpar.layers.attention import Attention
from tfpar.layers.attention_pooling import AttentionPooling
from tfpar.layers.bag_of_ngrams import BagOfNgrams
from tfpar.layers.cosine_logits import CosineLogits
from tfpar.layers.dropout import Dropout, TokenDropout
from tfpar.layers.gabor import GaborMagnitudes
from tfpar.layers.input_feeding import InputFeeding
from tfpar.layers.log_mel import LogMelSpectrogram
from tfpar.layers.pooling import MaxPooling, MeanPooling
from tfpar.layers.recurrent.bidirectional import Bidirectional
from tfpar.layers.recurrent.gru import GRU
from tfpar.layers.recurrent.lstm import LSTM
from tfpar.layers.recurrent.simple_rnn import SimpleRNN
from tfpar.layers.shifted_views import ShiftedViews
from tfpar.layers.spectrogram_augmentation import SpectrogramAugmentation

__all__ = [
    "GRU",
    "LSTM",
    "Attention",
    "AttentionPooling",
    "BagOfNgrams",
    "Bidirectional",
    "CosineLogits",
    "Dropout",
    "GaborMagnitudes",
    "InputFeeding",
    "LogMelSpectrogram",
    "MaxPooling",
    "MeanPooling",
    "ShiftedViews",
    "SimpleRNN",
    "SpectrogramAugmentation",
    "TokenDropout",
]
