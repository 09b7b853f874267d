"""Keras layers."""

from tfpar.layers.attention.attention import Attention
from tfpar.layers.attention.attention_pooling import AttentionPooling
from tfpar.layers.attention.input_feeding import InputFeeding
from tfpar.layers.batch_normalization import BatchNormalization
from tfpar.layers.causal_pooling import CausalMaxPooling, CausalMeanPooling
from tfpar.layers.differences import Differences
from tfpar.layers.dropout import Dropout, TokenDropout
from tfpar.layers.log_mel import LogMelSpectrogram
from tfpar.layers.masked_convolution import MaskedConvolution
from tfpar.layers.pooling import MaxPooling, MeanPooling
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.bidirectional import Bidirectional
from tfpar.layers.recurrent.cells import register_cell
from tfpar.layers.recurrent.gru import GRU
from tfpar.layers.recurrent.lstm import LSTM
from tfpar.layers.recurrent.min_gru import MinGRU
from tfpar.layers.recurrent.min_lstm import MinLSTM
from tfpar.layers.recurrent.mlstm import MLSTM
from tfpar.layers.recurrent.para_gru import ParaGRU
from tfpar.layers.recurrent.para_lstm import ParaLSTM
from tfpar.layers.recurrent.rg_lru import RGLRU
from tfpar.layers.recurrent.simple_rnn import SimpleRNN
from tfpar.layers.standardization import Standardization, Unstandardization
from tfpar.layers.step_layer import StepLayer
from tfpar.ops.activations import positive_activation
from tfpar.ops.recurrence import Recurrence

__all__ = [
    "GRU",
    "LSTM",
    "Attention",
    "AttentionPooling",
    "BatchNormalization",
    "Bidirectional",
    "CausalMaxPooling",
    "CausalMeanPooling",
    "Differences",
    "Dropout",
    "InputFeeding",
    "LogMelSpectrogram",
    "MaskedConvolution",
    "MaxPooling",
    "MeanPooling",
    "MLSTM",
    "RGLRU",
    "MinGRU",
    "MinLSTM",
    "ParaGRU",
    "ParaLSTM",
    "Recurrence",
    "RecurrentLayer",
    "SimpleRNN",
    "Standardization",
    "StepLayer",
    "TokenDropout",
    "positive_activation",
    "Unstandardization",
    "register_cell",
]
