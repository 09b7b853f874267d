"""Compares tfpar on two replicas, and in two lanes, with `keras.Model` on one device, and prints the largest
difference of each case as a line of JSON: CASE...

All cases share one process: nothing in them is expected to fail.
"""

import functools
import json
import sys
import traceback
import warnings

import keras
import numpy as np
import tensorflow as tf
from keras import ops, optimizers

import tfpar

REPLICAS = tfpar.cluster.make_strategy("mirrored", replicas=2)
ONE = tf.distribute.get_strategy()

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(8, 4)).astype("float32")
Y = (X @ np.array([1, -2, 0.5, 3], "float32"))[:, None]
SETTINGS = {"one": (ONE, 1), "lanes": (ONE, 2), "replicas": (REPLICAS, 1), "replicas in lanes": (REPLICAS, 2)}


def dense(model_class):
    inputs = keras.Input((4,))
    return model_class(inputs, keras.layers.Dense(1)(keras.layers.Dense(3, activation="tanh")(inputs)))


def two_outputs(model_class):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3, activation="tanh", kernel_regularizer="l2")(inputs)
    return model_class(inputs, [keras.layers.Dense(1)(hidden), keras.layers.Dense(1)(hidden)])


def unbuilt(model_class):
    model = type("Unbuilt", (model_class,), {"call": lambda self, x: self.last(x)})()
    model.last = keras.layers.Dense(1)
    return model


class Maybe(keras.layers.Layer):
    def call(self, x, other=None):
        return x if other is None else x + other

    def compute_output_shape(self, x_shape, other_shape=None):
        return x_shape


def with_optional(model_class):
    first, second = keras.Input((4,)), keras.Input((4,), optional=True)
    return model_class([first, second], keras.layers.Dense(1)(Maybe()(first, second)))


def make_model(model_class, make, strategy, lanes, compiled, frozen=False):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = make(model_class)
        model.trainable = not frozen
        if compiled is not None:
            optimizer = compiled.get("optimizer", "sgd")
            optimizer = optimizer() if callable(optimizer) else optimizer
            model.compile(**{"loss": "mse", "jit_compile": False, **compiled, "optimizer": optimizer})
            if model.built and not isinstance(optimizer, str):
                optimizer.build(model.trainable_variables)  # Keras initializes ScheduleFreeAdamW wrongly in a graph
    if model_class is tfpar.train.Model:
        model.lanes = lanes
    return model


def difference(run, settings, **of_model):
    """Return the largest difference of the nest of numbers that `run(model)` returns between Keras and each setting."""
    of_model = {"make": dense, "compiled": {}, **of_model}
    expected = run(make_model(keras.Model, strategy=ONE, lanes=1, **of_model))
    largest = {}
    for name in settings:
        strategy, lanes = SETTINGS[name]
        found = run(make_model(tfpar.train.Model, strategy=strategy, lanes=lanes, **of_model))
        pairs = zip(tf.nest.flatten(expected), tf.nest.flatten(found), strict=True)
        largest[name] = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)
    return largest


def fit(model, x=X, y=Y, **arguments):
    """Train for two steps; return weights and history."""
    start = model.get_weights()
    arguments = {"batch_size": 4, "shuffle": False, "verbose": 0, **arguments}
    history = model.fit(x, y, **arguments).history
    if model.trainable and start:
        assert max(np.abs(a - b).max() for a, b in zip(start, model.get_weights(), strict=True)) > 1e-6
    return [model.get_weights(), *history.values()]


def steps(optimizer):
    """Make a case that trains eagerly, which is fast, with all parts of an update."""
    return trains(optimizer, settings=("replicas in lanes",), run_eagerly=True)


def trains(optimizer=None, settings=("one", "replicas in lanes"), data=None, **compiled):
    compiled = {"optimizer": optimizer or functools.partial(optimizers.SGD, 0.1), **compiled}
    return lambda: difference(lambda model: fit(model, **(data or {})), settings, compiled=compiled)


class BoundsMeans(optimizers.SGD):
    """Optimizer that reads gradients before Keras clips them."""

    def apply(self, grads, trainable_variables=None):
        super().apply([ops.tanh(g) for g in grads], trainable_variables)


class BoundsPairs(optimizers.SGD):
    def apply_gradients(self, grads_and_vars):
        return super().apply_gradients([(ops.tanh(g), v) for g, v in grads_and_vars])


class BoundsClipped(optimizers.SGD):
    def _clip_gradients(self, grads):
        return [ops.tanh(g) for g in grads]


class TakesTensorFlowVariables(optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        variable.assign_sub(ops.tanh(gradient) * tf.cast(learning_rate, variable.dtype))


class OverridesHooks(optimizers.Adam):
    def build(self, variables):
        super().build(variables)
        self.seen = keras.Variable(0.0)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        self.seen.assign(self.seen + 1.0)
        super()._backend_update_step([g * self.seen for g in grads], trainable_variables, learning_rate)

    def _apply_weight_decay(self, variables):
        for variable in variables:
            variable.assign(variable * 0.99)


def of_two_kinds(**arguments):
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.SGD(0.1, **arguments), {".*bias": optimizers.Adam(0.1)})
    )


def root_mean_square(y, p):
    return ops.sqrt(ops.mean(ops.square(y - p)))


def of_each_column(y, p):
    return ops.sqrt(ops.mean(ops.square(y - p), axis=0))


def contrastive(y_true, y_pred):
    """Compute one number for each row, which depends on all rows."""
    return ops.logsumexp(ops.matmul(y_pred, ops.transpose(y_pred)), axis=-1) - ops.sum(y_pred * y_true, axis=-1)


class Correlation(keras.losses.Loss):
    def call(self, y, p):
        y, p = y - ops.mean(y), p - ops.mean(p)
        return 1 - ops.sum(y * p) / ops.sqrt(ops.sum(y * y) * ops.sum(p * p) + 1e-6)


class ReducesItself(keras.losses.Loss):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return root_mean_square(y_true, y_pred)


def evaluates(loss):
    """Make a case that evaluates in batches of three rows: the last has two."""

    def run(model):
        return model.evaluate(X, Y, batch_size=3, verbose=0)

    return lambda: difference(run, ("replicas",), compiled={"loss": loss})


def fits_two_losses():
    compiled = {"loss": [root_mean_square, "mse"], "loss_weights": [1.0, 0.5]}
    return difference(lambda model: fit(model, y=[Y, Y]), SETTINGS, make=two_outputs, compiled=compiled)


def counts_warnings_of_frozen(make):
    def run(model):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = fit(model)
        assert any("does not have any trainable weights" in str(warning.message) for warning in caught)
        return [result, int(model.optimizer.iterations.numpy())]

    return difference(run, SETTINGS, make=make, frozen=True)


def weightless(model_class):
    inputs = keras.Input((4,))
    return model_class(inputs, keras.layers.Flatten()(inputs))


def predicts(make, compiled):
    """Make a case of all methods that return outputs."""

    def run(model):
        asked = [model.predict(X, batch_size=3, verbose=0), model.predict_on_batch(X)]
        return [*asked, model.evaluate(X, Y, verbose=0)] if compiled is not None else asked

    def run_on_batch(model):
        return model.predict_on_batch(X)

    return lambda: {
        **difference(run, ("one", "replicas"), make=make, compiled=compiled),
        **{
            f"{k}, batch": v
            for k, v in difference(run_on_batch, ("one", "replicas"), make=make, compiled=compiled).items()
        },
    }


def takes_optional(second):
    x = [X, None if second is None else X]

    def run(model):
        return [
            fit(model, x=x),
            model.evaluate(x, Y, verbose=0),
            model.predict(x, verbose=0),
            model.train_on_batch(x, Y),
            model.predict((batch for batch in [(tuple(x),)]), verbose=0),
        ]

    return lambda: difference(run, ("one", "replicas"), make=with_optional)


def runs_eagerly(steps):
    def run(model):
        return [
            fit(model, batch_size=2),
            int(model.optimizer.iterations.numpy()),
            model.train_on_batch(X, Y),
            model.test_on_batch(X, Y),
        ]

    return lambda: difference(run, ("one", "replicas"), compiled={"run_eagerly": True, "steps_per_execution": steps})


def sparse(model_class):
    inputs = keras.Input((4,), sparse=True)
    return model_class(inputs, keras.layers.Dense(1)(inputs))


def takes_sparse(batch_size, eagerly):
    """Seven rows in batches that do not divide evenly, the last one smaller than the number of replicas."""
    x = tf.sparse.from_dense(X[:7] * (X[:7] > 0))
    batches = tf.data.Dataset.from_tensor_slices((x, Y[:7])).batch(batch_size)

    def run(model):
        history = model.fit(batches, verbose=0).history
        rows = model.predict(batches.map(lambda x, y: x), verbose=0)
        return [model.get_weights(), *history.values(), model.evaluate(batches, verbose=0), rows]

    settings = SETTINGS if eagerly else ("one", "replicas")
    return lambda: difference(run, settings, make=sparse, compiled={"run_eagerly": eagerly})


SGD = functools.partial(optimizers.SGD, 0.1)
CASES = {
    "Adadelta": steps(functools.partial(optimizers.Adadelta, 1.0)),
    "Adafactor": steps(functools.partial(optimizers.Adafactor, 0.1)),
    "Adagrad": steps(functools.partial(optimizers.Adagrad, 0.1)),
    "Adam": steps(functools.partial(optimizers.Adam, 0.1, amsgrad=True)),
    "AdamW": steps(functools.partial(optimizers.AdamW, 0.1)),
    "Adamax": steps(functools.partial(optimizers.Adamax, 0.1)),
    "Ftrl": steps(functools.partial(optimizers.Ftrl, 0.1)),
    "Lamb": steps(functools.partial(optimizers.Lamb, 0.1)),
    "Lion": steps(functools.partial(optimizers.Lion, 0.01)),
    "Muon": steps(functools.partial(optimizers.Muon, 0.1)),
    "Nadam": trains(functools.partial(optimizers.Nadam, 0.1)),
    "RMSprop": steps(functools.partial(optimizers.RMSprop, 0.1, centered=True, momentum=0.9)),
    "SGD": steps(functools.partial(SGD, momentum=0.9, nesterov=True)),
    "ScheduleFreeAdamW": steps(functools.partial(optimizers.ScheduleFreeAdamW, 0.1)),
    "LossScaleOptimizer": trains(lambda: optimizers.LossScaleOptimizer(optimizers.Nadam(0.1))),
    "MultiOptimizer": trains(functools.partial(of_two_kinds, clipnorm=0.1)),
    "MultiOptimizer accumulates": steps(functools.partial(of_two_kinds, gradient_accumulation_steps=2)),
    "Nadam clipnorm": steps(functools.partial(optimizers.Nadam, 0.1, clipnorm=0.1)),
    "Nadam global_clipnorm": steps(functools.partial(optimizers.Nadam, 0.1, global_clipnorm=0.1)),
    "Nadam clipvalue": steps(functools.partial(optimizers.Nadam, 0.1, clipvalue=0.1)),
    "Nadam weight_decay": steps(functools.partial(optimizers.Nadam, 0.1, weight_decay=0.1)),
    "Muon weight_decay": steps(functools.partial(optimizers.Muon, 0.1, weight_decay=0.1)),
    "Nadam accumulates": steps(functools.partial(optimizers.Nadam, 0.1, gradient_accumulation_steps=2)),
    "Nadam loss_scale_factor": steps(functools.partial(optimizers.Nadam, 0.1, loss_scale_factor=8.0)),
    "Adam accumulates and averages": trains(
        lambda: optimizers.Adam(
            0.1, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2
        )
    ),
    "Nadam averages": steps(lambda: optimizers.Nadam(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)),
    "own apply": steps(functools.partial(BoundsMeans, 0.1)),
    "own apply_gradients": steps(functools.partial(BoundsPairs, 0.1)),
    "own _clip_gradients": steps(functools.partial(BoundsClipped, 0.1)),
    "own update_step": steps(functools.partial(TakesTensorFlowVariables, 0.1)),
    "own hooks": trains(functools.partial(OverridesHooks, 0.1)),
    "own hooks accumulate": steps(functools.partial(OverridesHooks, 0.1, gradient_accumulation_steps=2)),
    "root mean square": trains(loss=root_mean_square, settings=SETTINGS),
    "root mean square of uneven batches": trains(
        loss=root_mean_square,
        settings=SETTINGS,
        run_eagerly=True,
        data={"batch_size": 5, "sample_weight": np.linspace(0.5, 2, 8)},
    ),
    "root mean square by XLA": trains(loss=root_mean_square, jit_compile=True),
    "root mean square of integers": trains(run_eagerly=True, loss=root_mean_square, data={"y": np.arange(8)[:, None]}),
    "one number for each column": trains(run_eagerly=True, loss=of_each_column),
    "correlation": trains(loss=Correlation(), run_eagerly=True),
    "contrastive": trains(run_eagerly=True, loss=contrastive),
    "own reduction": trains(run_eagerly=True, loss=ReducesItself()),
    "dice": trains(run_eagerly=True, loss=keras.losses.Dice(), data={"y": (Y > 0).astype("float32")}),
    "two losses": fits_two_losses,
    "evaluate root mean square": evaluates(root_mean_square),
    "evaluate correlation": evaluates(Correlation()),
    "fewer rows than replicas": trains(
        settings=("lanes", "replicas", "replicas in lanes"),
        data={"batch_size": 1, "validation_data": (X, Y), "validation_batch_size": 1},
    ),
    "fewer rows than replicas, of a known number": trains(
        settings=("lanes", "replicas"), data={"x": X[:3], "y": Y[:3], "batch_size": 1}
    ),
    "frozen": functools.partial(counts_warnings_of_frozen, dense),
    "without weights": functools.partial(counts_warnings_of_frozen, weightless),
    "ask uncompiled": predicts(dense, None),
    "ask unbuilt, uncompiled": predicts(unbuilt, None),
    "ask unbuilt": predicts(unbuilt, {"metrics": ["mae"]}),
    "ask without weights": predicts(weightless, {}),
    "optional input absent": takes_optional(None),
    "optional input given": takes_optional(X),
    "sparse": takes_sparse(5, eagerly=False),
    "sparse, fewer rows than replicas": takes_sparse(3, eagerly=True),
    "eager": runs_eagerly(1),
    "eager, several steps at once": runs_eagerly(3),
}


def main():
    for name in sys.argv[1:] or CASES:
        try:
            print(json.dumps({"case": name, "differences": CASES[name]()}), flush=True)
        except Exception:
            print(json.dumps({"case": name, "error": traceback.format_exc()[-3000:]}), flush=True)


if __name__ == "__main__":
    main()
