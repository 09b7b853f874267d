"""cuDNN's recurrent networks as NVIDIA documents them: the layout of their weights, and their equations.

Written from the descriptions of cudnnRNNMode_t, cudnnGetRNNWeightParams and cudnnSetRNNDataDescriptor, for NumPy arrays
and for tensors alike: nothing here knows how tfpar lays weights out.
"""

import numpy as np
import tensorflow as tf
from oracles import sigmoid

GATES = {"lstm": 4, "gru": 3}


def unpack(mode, packed, features, units):
    """Split a flat buffer: for each gate W (units, features), R (units, units), b_W and b_R (units,)."""
    reshape = np.reshape if isinstance(packed, np.ndarray) else tf.reshape
    parts, start = [], 0
    for shape in ((units, features), (units, units), (units,), (units,)):
        size = int(np.prod(shape))
        starts = [start + gate * size for gate in range(GATES[mode])]
        parts.append([reshape(packed[at : at + size], shape) for at in starts])
        start += GATES[mode] * size
    assert start == packed.shape[0]
    return parts


def step(mode, x, states, weights, functions=(sigmoid, np.tanh)):
    """States after one step, by the equations of CUDNN_LSTM or CUDNN_GRU; x is (batch, features)."""
    sigma, tanh = functions
    W, R, b_W, b_R = weights

    def from_x(gate):
        return x @ _transposed(W[gate]) + b_W[gate]

    def from_h(gate):
        return states[0] @ _transposed(R[gate]) + b_R[gate]

    if mode == "lstm":
        i, f, o = (sigma(from_x(gate) + from_h(gate)) for gate in (0, 1, 3))
        new_memory = tanh(from_x(2) + from_h(2))
        c = f * states[1] + i * new_memory
        return [o * tanh(c), c]
    r, update = (sigma(from_x(gate) + from_h(gate)) for gate in (0, 1))
    new_memory = tanh(from_x(2) + r * from_h(2))
    return [(1 - update) * new_memory + update * states[0]]


def _transposed(matrix):
    return matrix.T if isinstance(matrix, np.ndarray) else tf.transpose(matrix)


def run_operation(mode, inputs, states, packed, lengths):
    """A stand-in for `tfpar.ops.cudnn.run_operation`, in plain TensorFlow: zeros at steps after a row's length."""
    tf.debugging.assert_positive(lengths, "cuDNN wants at least one step of each row")
    weights = unpack(mode, packed, inputs.shape[-1], states[0].shape[-1])
    states, sequence = list(states), []
    for t in range(inputs.shape[0]):
        runs = (t < lengths)[:, None]
        new = step(mode, inputs[t], states, weights, (tf.sigmoid, tf.tanh))
        states = [tf.where(runs, n, old) for n, old in zip(new, states, strict=True)]
        sequence.append(tf.where(runs, states[0], tf.zeros_like(states[0])))
    return tf.stack(sequence), tuple(states)
