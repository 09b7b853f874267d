"""The LSTM as a function that the TFLite converter replaces by one `UNIDIRECTIONAL_SEQUENCE_LSTM`.

The converter looks for a function whose `api_implements` attribute starts with "lstm_", with six tensor arguments
and five results, and reads only the arguments; all other runtimes run the body below. Weights must be tensors: with
variables nothing is fused, and two layers crash the converter's process.
"""

import uuid

import tensorflow as tf

from tfpar.ops.inference_loop import inference_loop
from tfpar.ops.lstm import LSTM
from tfpar.ops.recurrence import RecurrentWeights, project


def fused_lstm(
    recurrence: LSTM, inputs: tf.Tensor, kernel: tf.Tensor, weights: RecurrentWeights, bias: tf.Tensor
) -> tf.Tensor:
    """Run an LSTM with tanh and sigmoid over all steps, from zero states, for inference.

    Args:
        recurrence: must have the activations tanh and sigmoid; the operation has no others.
        inputs: float (batch, time, features); batch is static.
        kernel: float (features, 4 * units).
        weights: the recurrent weights.
        bias: float (4 * units,).

    Returns:
        float (batch, time, units), h of each step.
    """
    assert weights.kernel is not None  # the weights are an LSTM's
    zeros = tf.zeros((inputs.shape[0], weights.kernel.shape[0]), inputs.dtype)
    arguments = [tf.convert_to_tensor(x) for x in (inputs, zeros, zeros, kernel, weights.kernel, bias)]
    _, sequence, *_ = _composite(recurrence)(*arguments)
    sequence.set_shape([*inputs.shape[:2], zeros.shape[-1]])
    return sequence


def _composite(recurrence):
    attributes = {
        "api_implements": f"lstm_{uuid.uuid4()}",
        "api_preferred_device": "CPU",
        "time_major": False,
        "go_backwards": False,
    }

    @tf.function(autograph=False, experimental_attributes=attributes)
    def lstm(inputs, initial_h, initial_c, kernel, recurrent_kernel, bias):
        x_proj = project(tf.transpose(inputs, [1, 0, 2]), kernel, bias)
        weights = RecurrentWeights(recurrent_kernel)
        sequence, (h, c) = inference_loop(recurrence, x_proj, (initial_h, initial_c), weights)
        return h, tf.transpose(sequence, [1, 0, 2]), h, c, tf.constant(0.0)

    return lstm
