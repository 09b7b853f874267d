"""What `keras.Model` does on two replicas where tfpar overrides it, as JSON. The case that breaks things is last."""

import functools
import json

import keras

import tfpar

STRATEGY = tfpar.cluster.make_strategy("mirrored", replicas=2)

from training import X, Y, dense, largest_difference, trained  # noqa: E402

SGD = functools.partial(keras.optimizers.SGD, 0.5)


def difference(**options):
    """Of the weights, from training on one device and on two."""
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


results = {
    "plain": difference(),
    "global_clipnorm": difference(global_clipnorm=0.05),
    "auto": auto(),
    "accumulation": error(False, gradient_accumulation_steps=2),
    "ema_overwrites": error(False, use_ema=True, ema_overwrite_frequency=2),
    "jit_compile": error(True),
}
print(json.dumps(results))
