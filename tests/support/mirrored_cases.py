"""Trains each case on one device and on two logical CPU devices, and prints the differences as JSON.

One process for all, since starting TensorFlow costs more than a case. A failed step would spoil the collectives after
it, so cases that are meant to fail stand last, and do so before they run anything.
"""

import functools
import json
import traceback

import keras
import numpy as np

import tfpar

STRATEGY = tfpar.cluster.make_strategy("mirrored", replicas=2)

from training import dense, functional, largest_difference  # noqa: E402

X = np.random.default_rng(0).normal(size=(16, 5, 4)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 16).astype("int32")
SGD = functools.partial(keras.optimizers.SGD, 0.5)
MOMENTUM = functools.partial(SGD, momentum=0.9)
ADAMW = functools.partial(keras.optimizers.AdamW, 0.05, weight_decay=0.1)


def with_dropout(model_class):
    x = keras.Input((None, 4))
    hidden = keras.layers.GlobalAveragePooling1D()(x)
    return model_class(x, keras.layers.Dense(3)(tfpar.layers.Dropout(0.5, seed=1)(keras.layers.Dense(8)(hidden))))


def with_recurrent_dropout(model_class):
    x = keras.Input((None, 4))
    return model_class(
        x, keras.layers.Dense(3)(tfpar.layers.SimpleRNN(3, recurrent_dropout=0.5, dropout=0.3, seed=1)(x))
    )


def committee(model_class):
    x = keras.Input((None, 4))
    return model_class(x, keras.layers.Reshape((1, 3))(dense(keras.Model)(x)))


WEIGHTS = np.array([1, 2, 0.5, 1, 0, 0, 0, 0] * 2, "float32")  # The second replica's shares weigh nothing.
CASES = {
    "momentum": dict(make=functional, optimizer=MOMENTUM, asks=True),
    "momentum_xla": dict(make=functional, optimizer=MOMENTUM, jit_compile=True, asks=True),
    "adamw": dict(make=dense, optimizer=ADAMW),
    "adamw_xla": dict(make=dense, optimizer=ADAMW, jit_compile=True),
    "global_clipnorm": dict(make=dense, optimizer=functools.partial(SGD, global_clipnorm=0.05)),
    "accumulation_xla": dict(
        make=dense, optimizer=functools.partial(SGD, gradient_accumulation_steps=2), jit_compile=True
    ),
    "ema": dict(
        make=dense, optimizer=functools.partial(SGD, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    ),
    "dropout": dict(make=with_dropout, optimizer=SGD),
    "recurrent_dropout_xla": dict(make=with_recurrent_dropout, optimizer=SGD, jit_compile=True),
    "odd_last_batch": dict(make=dense, optimizer=MOMENTUM, rows=15),
    "empty_share": dict(make=dense, optimizer=MOMENTUM, rows=9, asks=True),
    "sample_weight": dict(make=dense, optimizer=SGD, sample_weight=np.linspace(0, 2, 16).astype("float32")),
    "committee": dict(make=committee, optimizer=SGD, sample_weight=WEIGHTS, loss=tfpar.train.CommitteeCrossentropy),
    "loss_scaling": dict(make=dense, optimizer=lambda: keras.optimizers.LossScaleOptimizer(SGD())),
}


def train(make, optimizer, jit_compile=False, rows=16, sample_weight=None, loss=None, asks=False):
    """Two epochs; `asks` for an evaluation and for predictions afterwards, too."""
    keras.utils.set_random_seed(5)
    model = make(tfpar.train.Model)
    loss = loss() if loss else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(), loss, jit_compile=jit_compile)
    start = model.get_weights()
    data = dict(x=X[:rows], y=Y[:rows], sample_weight=None if sample_weight is None else sample_weight[:rows])
    answers = model.fit(**data, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    moved = max(float(np.abs(a - b).max()) for a, b in zip(model.get_weights(), start, strict=True))
    if asks:
        answers += [model.evaluate(**data, batch_size=8, verbose=0), *model.predict(X[:rows], 8, verbose=0).ravel()]
    return model, answers, moved


def compare(case):
    """One device goes without XLA, unless random numbers are drawn: XLA draws others than TensorFlow."""
    draws = case["make"] is with_recurrent_dropout
    one, answers, moved = train(**{**case, "jit_compile": draws and case["jit_compile"]})
    with STRATEGY.scope():
        two, their_answers, _ = train(**case)
    return {
        "weights": largest_difference(one, two),
        "answers": float(np.abs(np.subtract(answers, their_answers)).max()),
        "moved": moved,
        "xla": two.jit_compile,
    }


def refused(run):
    try:
        with STRATEGY.scope():
            run()
    except ValueError as error:
        return {"refused": str(error)}
    return {"refused": None}


class Own(tfpar.train.Model):
    def train_step(self, data):
        return super().train_step(data)


def train_own_step():
    model = dense(Own)
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((16, 3)), verbose=0)


def run(function, *args):
    try:
        return function(*args)
    except Exception:
        return {"error": traceback.format_exc()[-3000:]}


def auto():
    with STRATEGY.scope():
        model = dense(tfpar.train.Model)
        model.compile("sgd", "mse", jit_compile="auto")
    return {"jit_compile": model.jit_compile}


results = {name: run(compare, case) for name, case in CASES.items()}
results["auto"] = run(auto)
results["stateful"] = run(refused, lambda: tfpar.layers.LSTM(3, stateful=True)(keras.Input(batch_shape=(4, 5, 4))))
results["train_step"] = run(refused, train_own_step)
print(json.dumps(results))
