"""Prints, as JSON, which operations run in a training step of a model that takes cuDNN, by the way it is compiled.

There is no GPU here: in the operation's place stands `BlockLSTMV2`, which is no part of XLA either but runs on a CPU,
and whose numbers mean nothing here. In a process of its own, since XLA reads its flags from the environment once.
"""

import collections
import json
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from tfpar import layers
from tfpar.layers.recurrent import placement
from tfpar.ops import cudnn

TOKENS = np.array([[1, 2, 3, 4, 5, 0], [3, 1, 2, 0, 0, 0], [1, 2, 3, 4, 5, 6], [4, 0, 0, 0, 0, 0]])


def block_lstm(mode, inputs, states, packed, lengths):
    features, units = inputs.shape[-1], states[0].shape[-1]
    peepholes = tf.zeros((units,))
    result = tf.raw_ops.BlockLSTMV2(
        seq_len_max=tf.cast(tf.shape(inputs)[0], tf.int64),
        x=inputs,
        h_prev=states[0],
        cs_prev=states[1],
        w=tf.reshape(packed[: (features + units) * 4 * units], (features + units, 4 * units)),
        wci=peepholes,
        wcf=peepholes,
        wco=peepholes,
        b=packed[-4 * units :],
    )
    return result.h, (result.h[-1], result.cs[-1])


def make_model():
    """tokens -> embedding -> dense -> LSTM -> pooling -> dense."""
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(10, 8, mask_zero=True)(tokens)
    x = layers.LSTM(4, return_sequences=True)(keras.layers.Dense(8, "tanh")(x))
    return keras.Model(tokens, keras.layers.Dense(3, "softmax")(layers.MaxPooling()(x)))


def training_step(model):
    """tokens -> a loss, and its gradients."""

    def step(tokens):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.math.log(model(tokens, training=True)[:, 0]))
        return loss, tape.gradient(loss, [v.value for v in model.trainable_variables])

    return tf.function(step, autograph=False, input_signature=[tf.TensorSpec((None, None), tf.int32)])


def operations_run(model):
    """How often each operation stands in what is executed for a step, after all of TensorFlow's passes."""
    context.enable_graph_collection()
    try:
        loss, _ = training_step(model)(tf.constant(TOKENS, tf.int32))
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_graph_collection()
    assert np.isfinite(loss)
    return collections.Counter(node.op for graphs in graphs for graph in graphs.partition_graphs for node in graph.node)


def main():
    model, before = make_model(), tf.config.optimizer.get_jit()
    with (
        mock.patch.object(cudnn, "run_operation", block_lstm),
        mock.patch.object(placement, "device_type", lambda: "GPU"),
    ):
        found = {"before": operations_run(model)}
        tf.config.optimizer.set_jit("autoclustering")
        found["clustered"] = operations_run(model)
        tf.config.optimizer.set_jit(before)
        found["after"] = operations_run(model)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
