"""Prints, as JSON, choices and refusals of `Model` on two replicas, and losses of models trained alternately."""

import contextlib
import json

import keras
import numpy as np
import tensorflow as tf

import tfpar

STRATEGY = tfpar.cluster.make_strategy("mirrored", replicas=2)

from training import X, dense  # noqa: E402


class Own(tfpar.train.Model):
    def train_step(self, data):
        return super().train_step(data)


def refused(run):
    try:
        with STRATEGY.scope():
            run()
    except ValueError as error:
        return str(error)
    return None


def train(model, x=X, optimizer="sgd", **compile_arguments):
    model.compile(optimizer, "mse", **compile_arguments)
    model.fit(x, np.zeros((10, 3)), verbose=0)


def auto(make):
    with STRATEGY.scope():
        model = make()
        model.compile("sgd", "mse", jit_compile="auto")
    return model.jit_compile


def synchronized():
    x = keras.Input((4,))
    return tfpar.train.Model(x, keras.layers.Dense(3)(keras.layers.BatchNormalization(synchronized=True)(x)))


def in_scope(make):
    with STRATEGY.scope():
        return make()


def outside():
    """Return the error for each kind of object that is made outside of the scope."""
    model, layer, adam = dense(tfpar.train.Model), keras.layers.Dense(3), keras.optimizers.Adam()
    layer.build((None, 4))
    metric, of_scope = keras.metrics.MeanAbsoluteError(), in_scope(lambda: dense(tfpar.train.Model))
    x = keras.Input((None, 4))

    def fit_outside():
        with tfpar.cluster.outside_scope():
            model.fit(X, np.zeros((10, 3)), verbose=0)

    def compile_outside():
        with tfpar.cluster.outside_scope():
            train(of_scope)

    return {
        "model": refused(lambda: train(model)),
        "layer": refused(lambda: train(tfpar.train.Model(x, layer(x)))),
        "optimizer": refused(lambda: train(dense(tfpar.train.Model), optimizer=adam)),
        "compile": refused(compile_outside),
        "metric": refused(lambda: train(dense(tfpar.train.Model), metrics=[metric])),
        "fit": refused(fit_outside),
    }


def history(scope, units):
    """Yield the loss of each epoch of a model with so many units."""
    keras.utils.set_random_seed(units)
    with scope:
        x = keras.Input((None, 4))
        model = tfpar.train.Model(x, keras.layers.Dense(3)(keras.layers.Dense(units)(x)))
        model.compile("sgd", "mse", jit_compile=False)
    while True:
        yield model.fit(X, np.ones((10, 5, 3)), batch_size=4, shuffle=False, verbose=0).history["loss"][0]


def alternately(scopes):
    models = [history(scope, units) for scope, units in zip(scopes, (2, 3), strict=True)]
    return [next(model) for model in models * 2]


def again():
    return tfpar.cluster.make_strategy("mirrored", replicas=2).scope()


def adapted():
    """Return losses of a model whose statistics were adapted outside of the scope, and within it."""

    def loss(scope_of_statistics):
        with scope_of_statistics:
            normalization = keras.layers.Normalization()
            normalization.adapt(X)
        keras.utils.set_random_seed(1)
        with STRATEGY.scope():
            x = keras.Input((None, 4))
            model = tfpar.train.Model(x, keras.layers.Dense(3)(normalization(x)))
            model.compile("sgd", "mse", jit_compile=True)
        return model.fit(X, np.ones((10, 5, 3)), batch_size=4, shuffle=False, verbose=0).history["loss"]

    return loss(contextlib.nullcontext()), loss(STRATEGY.scope())


def stock_strategies():
    """Return the error of a second stock strategy on the same devices."""
    scopes = [tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope() for _ in range(2)]
    try:
        alternately(scopes)
    except RuntimeError as error:
        return str(error)


def after_failure():
    with STRATEGY.scope():
        tokens = keras.Input((2,), dtype="int32")
        model = tfpar.train.Model(tokens, keras.layers.Embedding(3, 3)(tokens))
        model.compile("sgd", "mse", jit_compile=False)
    with contextlib.suppress(tf.errors.InvalidArgumentError):
        model.fit(np.full((4, 2), 99), np.ones((4, 2, 3)), verbose=0)
    return next(history(again(), 2))


def in_lanes():
    model = synchronized()
    model.lanes = 2
    train(model, X[:, 0], jit_compile=False)


def make_function_of_unbuilt():
    model = dense(tfpar.train.Model)
    model.compile("sgd", "mse")
    model.make_train_function()


results = {
    "auto": auto(lambda: dense(tfpar.train.Model)),
    "auto_synchronized": auto(synchronized),
    "stateful": refused(lambda: tfpar.layers.LSTM(3, stateful=True)(keras.Input(batch_shape=(4, 5, 4)))),
    "train_step": refused(lambda: train(dense(Own))),
    "unbuilt": refused(make_function_of_unbuilt),
    "synchronized_xla": refused(lambda: train(synchronized(), X[:, 0], jit_compile=True)),
    "synchronized_lanes": refused(in_lanes),
    "outside": outside(),
    "adapted": adapted(),
    "alternately": [alternately([again(), again()]), alternately([contextlib.nullcontext(), contextlib.nullcontext()])],
    "after_failure": after_failure(),
    "stock_strategies": stock_strategies(),  # last: no collective works after it
}
print(json.dumps(results))
