"""Prints, as JSON, weights after training by one row on one replica and on two, of which one has no row.

With `stock` it prints the channels of TensorFlow's own convolution of no rows instead.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

import tfpar

ROWS = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
STRATEGY = tfpar.cluster.make_strategy("mirrored", replicas=2)


def train(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        x = keras.Input((8, 8, 3))
        hidden = keras.layers.MaxPooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(x))
        hidden = keras.layers.AveragePooling2D(2)(keras.layers.Conv2D(5, 2)(hidden))
        model = tfpar.train.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(hidden)))
        model.compile("sgd", "mse", jit_compile=False)
    model.fit(ROWS, np.ones((1, 2)), epochs=2, verbose=0)
    return [weight.tolist() for weight in model.get_weights()]


if sys.argv[1:] == ["stock"]:
    print(json.dumps(tf.nn.convolution(ROWS[:0], np.ones((3, 3, 3, 4), "float32"), padding="VALID").shape.as_list()))
else:
    print(json.dumps([train(tf.distribute.get_strategy()), train(STRATEGY)]))
