"""Prints, as JSON, results of `keras.Model` where tfpar overrides it: STRATEGY. The last case breaks collectives.

STRATEGY is "mirrored" or, with TF_CONFIG, "multiworker".
"""

import functools
import json
import sys

import keras
import numpy as np
import tensorflow as tf

import tfpar

if sys.argv[1] == "multiworker":
    STRATEGY = tfpar.cluster.make_strategy("multiworker", timeout_s=30)
else:  # as TensorFlow makes it
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

from training import X, Y, dense, largest_difference, trained  # noqa: E402

SGD = functools.partial(keras.optimizers.SGD, 0.5)


def difference(**options):
    """Return the difference of weights trained on one device and on two."""
    arguments = (dense, keras.Model, functools.partial(SGD, **options), False)
    one, _ = trained(*arguments, x=X[:8], y=Y[:8])
    with STRATEGY.scope():
        two, _ = trained(*arguments, x=X[:8], y=Y[:8])
    return largest_difference(one, two)


def error(jit_compile, **options):
    try:
        with STRATEGY.scope():
            trained(dense, keras.Model, functools.partial(SGD, **options), jit_compile, x=X[:8], y=Y[:8])
    except Exception as raised:
        return f"{type(raised).__name__}: {raised}"
    return None


def auto():
    with STRATEGY.scope():
        model = dense(keras.Model)
        model.compile("sgd", "mse", jit_compile="auto")
    return model.jit_compile


def several_steps_at_once():
    """Return the error of `steps_per_execution`."""

    class Several(keras.Model):
        def compile(self, *args, **kwargs):
            super().compile(*args, steps_per_execution=2, **kwargs)

    try:
        with STRATEGY.scope():
            trained(dense, Several, SGD, False, x=X[:8], y=Y[:8])
    except Exception as raised:
        return f"{type(raised).__name__}: {raised}"
    return None


def infinite_on_the_second_replica():
    """Return whether weights are finite after a step that `LossScaleOptimizer` must skip."""
    x = X[:4].copy()
    x[3] = np.inf
    with STRATEGY.scope():
        model, _ = trained(dense, keras.Model, lambda: keras.optimizers.LossScaleOptimizer(SGD()), False, x=x, y=Y[:4])
    return bool(all(np.isfinite(w).all() for w in model.get_weights()))


def accumulation_of_unequal_batches():
    """Return the difference of weights after batches of 8 and 2 rows, and after one of 10, on one device."""
    arguments = dict(x=X, y=Y, epochs=1)
    two, _ = trained(
        dense, keras.Model, functools.partial(SGD, gradient_accumulation_steps=2), False, batch_size=8, **arguments
    )
    one, _ = trained(dense, keras.Model, SGD, False, batch_size=10, **arguments)
    return largest_difference(one, two)


def tagger(model_class):
    tokens = keras.Input((5,), dtype="int32")
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
    return model_class(tokens, keras.layers.Dense(3)(embedded))


def masked_difference():
    """Return the difference of weights if the first replica has ten valid steps and the second two."""
    x = np.array([[1, 2, 3, 4, 5], [2, 3, 4, 5, 6], [7, 0, 0, 0, 0], [8, 0, 0, 0, 0]])
    y = np.arange(20).reshape(4, 5) % 3
    one, _ = trained(tagger, keras.Model, SGD, False, x=x, y=y)
    with STRATEGY.scope():
        two, _ = trained(tagger, keras.Model, SGD, False, x=x, y=y)
    return largest_difference(one, two)


if sys.argv[1] == "multiworker":
    results = {"fit": error(False)}
else:
    results = {
        "plain": difference(),
        "global_clipnorm": difference(global_clipnorm=0.05),
        "auto": auto(),
        "unequal_accumulation": accumulation_of_unequal_batches(),
        "masked": masked_difference(),
        "loss_scaling_is_finite": infinite_on_the_second_replica(),
        "accumulation": error(False, gradient_accumulation_steps=2),
        "ema_overwrites": error(False, use_ema=True, ema_overwrite_frequency=2),
        "steps_per_execution": several_steps_at_once(),
        "jit_compile": error(True),
    }
print(json.dumps(results), flush=True)
