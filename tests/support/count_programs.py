"""Trains on batches of two lengths, or of a known one, two epochs: `count_programs.py JIT_COMPILE LENGTHS LANES`."""

import sys

import keras
import numpy as np
import tensorflow as tf

import tfpar

jit_compile, lengths, lanes = sys.argv[1] == "True", (3, 5, 3, 5)[:: 3 - int(sys.argv[2])], int(sys.argv[3])
known_length = 3 if sys.argv[2] == "1" else None

x = keras.Input((None, 4))
model = tfpar.train.Model(x, keras.layers.Dense(1)(tfpar.layers.SimpleRNN(2)(x)))
model.compile("sgd", "mse", jit_compile=jit_compile)
model.lanes = lanes
batches = [(np.ones((4, length, 4), "float32"), np.ones((4, 1), "float32")) for length in lengths]
spec = (tf.TensorSpec((4, known_length, 4)), tf.TensorSpec((4, 1)))
model.fit(tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec), epochs=2, verbose=0)
