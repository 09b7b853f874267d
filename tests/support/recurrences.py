"""Every recurrence, with known and with other activations."""

from keras import activations

from tfpar.ops import gru, lstm, simple_rnn
from tfpar.ops.activations import Activation

TANH, SIGMOID, GELU = (Activation(f) for f in (activations.tanh, activations.sigmoid, activations.gelu))
RECURRENCES = {
    "simple_rnn": simple_rnn.SimpleRNN(TANH),
    "lstm": lstm.LSTM(TANH, SIGMOID),
    "gru": gru.GRU(TANH, SIGMOID),
    "gru_reset_before": gru.ResetBeforeGRU(TANH, SIGMOID),
    "simple_rnn_of_others": simple_rnn.SimpleRNN(GELU),
    "lstm_of_others": lstm.LSTM(GELU, GELU),
    "gru_of_others": gru.GRU(GELU, GELU),
    "gru_reset_before_of_others": gru.ResetBeforeGRU(GELU, GELU),
}
