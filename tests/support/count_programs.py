"""Trains on batches of two lengths, two epochs; with XLA if the argument is True."""

import sys

import keras
import numpy as np
import tensorflow as tf

import tfpar

LENGTHS = (3, 5, 3, 5)

x = keras.Input((None, 4))
model = tfpar.train.Model(x, keras.layers.Dense(1)(tfpar.layers.SimpleRNN(2)(x)))
model.compile("sgd", "mse", jit_compile=sys.argv[1] == "True")
batches = [(np.ones((4, length, 4), "float32"), np.ones((4, 1), "float32")) for length in LENGTHS]
spec = (tf.TensorSpec((4, None, 4)), tf.TensorSpec((4, 1)))
model.fit(tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec), epochs=2, verbose=0)
