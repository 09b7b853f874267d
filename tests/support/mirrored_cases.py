"""What `Model` chooses and refuses on two replicas, as JSON. Cases fail before they run anything."""

import json

import keras
import numpy as np

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


def train(model, x=X, **compile_arguments):
    model.compile("sgd", "mse", **compile_arguments)
    model.fit(x, np.zeros((10, 3)), verbose=0)


def auto(make):
    with STRATEGY.scope():
        model = make()
        model.compile("sgd", "mse", jit_compile="auto")
    return model.jit_compile


def synchronized():
    x = keras.Input((4,))
    return tfpar.train.Model(x, keras.layers.Dense(3)(keras.layers.BatchNormalization(synchronized=True)(x)))


METRIC_OF_NO_SCOPE = keras.metrics.MeanAbsoluteError()


def in_lanes():
    model = synchronized()
    model.lanes = 2
    train(model, X[:, 0], jit_compile=False)


results = {
    "auto": auto(lambda: dense(tfpar.train.Model)),
    "auto_synchronized": auto(synchronized),
    "stateful": refused(lambda: tfpar.layers.LSTM(3, stateful=True)(keras.Input(batch_shape=(4, 5, 4)))),
    "train_step": refused(lambda: train(dense(Own))),
    "synchronized_xla": refused(lambda: train(synchronized(), X[:, 0], jit_compile=True)),
    "synchronized_lanes": refused(in_lanes),
    "metric_of_no_scope": refused(lambda: train(dense(tfpar.train.Model), metrics=[METRIC_OF_NO_SCOPE])),
}
print(json.dumps(results))
