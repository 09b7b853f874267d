"""Small models and data, and a function that trains from fixed initial weights."""

import keras
import numpy as np

import tfpar

X = np.random.default_rng(0).normal(size=(10, 5, 4)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 10).astype("int32")


def functional(model_class):
    x = keras.Input((None, 4))
    return model_class(x, keras.layers.Dense(3)(tfpar.layers.GRU(3)(x)))


def dense(model_class):
    """Make a model that compiles fast."""
    x = keras.Input((None, 4))
    hidden = keras.layers.Dense(4, activation="tanh")(x)
    return model_class(x, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(hidden)))


def subclassed(model_class):
    class Subclassed(model_class):
        def __init__(self):
            super().__init__()
            self.recurrent = tfpar.layers.LSTM(3)
            self.logits = keras.layers.Dense(3)

        def call(self, x):
            return self.logits(self.recurrent(x))

    return Subclassed()


def trained(make, model_class, optimizer, jit_compile, x=X, y=Y, loss=None, metrics=(), **fit):
    """Train `make(model_class)` from fixed initial weights.

    Args:
        make: one of the functions above.
        model_class: `keras.Model` or `tfpar.train.Model`.
        optimizer: function that makes one.
        jit_compile: for `compile`.
        x, y: data.
        loss: for `compile`; a sparse cross-entropy by default.
        metrics: for `compile`.
        **fit: for `fit`; by default two epochs of batches of four rows in order.

    Returns:
        The model and its history.
    """
    keras.utils.set_random_seed(5)
    model = make(model_class)
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(), loss, metrics=list(metrics), jit_compile=jit_compile)
    fit = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, **fit}
    return model, model.fit(x, y, **fit).history


def largest_difference(model, other):
    """Return the largest absolute difference of the weights of two models."""
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)
