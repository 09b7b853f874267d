"""Runs cases of resumed training in a setting, and prints their results as JSON lines: SETTING DIRECTORY CASE...

SETTING is "one", "mirrored2" or, with TF_CONFIG, "multiworker2".
"""

import json
import os
import sys
import traceback
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from isolated import strategy_of

import tfpar
from tfpar.testing import assert_resumes_at_every_step
from tfpar.train import Checkpoints, NonFiniteGuard

X = np.random.default_rng(0).normal(size=(20, 5, 4)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 20).astype("int32")
# Keras' batch normalization and dropout depend on the number of replicas.
MOVED = {"normalization": keras.layers.LayerNormalization, "dropout": keras.layers.Identity(), "jit_compile": False}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make_adamw():
    return keras.optimizers.AdamW(0.01, use_ema=True, gradient_accumulation_steps=2)


def make_model(
    strategy, make_optimizer=make_adamw, normalization=keras.layers.BatchNormalization, dropout=None, **compile
):
    keras.utils.set_random_seed(5)
    with strategy.scope():
        dropout = dropout or keras.layers.Dropout(0.3, seed=2)
        inputs = keras.Input((5, 4))
        hidden = tfpar.layers.GRU(4, dropout=0.2, seed=1)(dropout(inputs))
        model = tfpar.train.Model(inputs, keras.layers.Dense(3)(normalization()(hidden)))
        model.compile(make_optimizer(), LOSS, **{"metrics": ["accuracy"], **compile})
    return model


def make_data():
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(20, seed=3).batch(4)


def make_callbacks():
    return [keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)]


def check(strategy, directory, **arguments):
    compile = arguments.pop("compile", {})
    assert_resumes_at_every_step(
        lambda: make_model(strategy, **compile),
        make_data,
        make_callbacks=make_callbacks,
        validation_data=(X[:7], Y[:7]),
        directory=directory,
        **arguments,
    )


def some_steps(strategy, directory):
    check(strategy, directory, steps=8, at=(3, 5), compile={"jit_compile": False})


def twenty_steps(strategy, directory):
    check(strategy, directory, steps=20, compile={"jit_compile": False})


def twenty_steps_compiled(strategy, directory):
    check(strategy, directory, steps=20, compile={"jit_compile": True})


def several_steps_per_execution(strategy, directory):
    check(strategy, directory, steps=10, compile={"jit_compile": False, "steps_per_execution": 2})


def loss_scaling(strategy, directory):
    def make_optimizer():
        inner = keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=1.0)
        return keras.optimizers.LossScaleOptimizer(inner, dynamic_growth_steps=3)

    compile = {"jit_compile": False, "make_optimizer": make_optimizer}
    check(strategy, directory, steps=8, at=(1, 4, 7), compile=compile)


def skipped_steps(strategy, directory):
    """Train with a batch of which only the last replica's rows are not finite."""
    x = X.copy()
    x[7] = np.nan
    guard = NonFiniteGuard(directory=directory / str(os.environ.get("TF_CONFIG", "")[-3:-2]))
    model = make_model(strategy, jit_compile=False)
    history = model.fit(x, Y, batch_size=4, shuffle=False, epochs=2, verbose=0, callbacks=[guard]).history
    finite = all(np.isfinite(weight).all() for weight in model.get_weights())
    return {"skipped": guard.skipped_steps, "finite": bool(finite and np.isfinite(history["loss"]).all())}


def weights_after_resume(strategy, directory):
    """Continue a run that another setting began in `directory`, or begin it."""
    every = [Checkpoints(directory / "moved", "1steps")]
    if not (directory / "moved").exists():
        every.append(keras.callbacks.LambdaCallback(on_train_batch_begin=_stop_at_seventh()))
    model = make_model(strategy, **MOVED)
    try:
        model.fit(make_data(), epochs=3, verbose=0, callbacks=every)
    except KeyboardInterrupt:
        return {}
    return {"weights": float(sum(np.abs(weight).sum(dtype="float64") for weight in model.get_weights()))}


def _stop_at_seventh():
    seen = []

    def stop(batch, logs):
        seen.append(batch)
        if len(seen) == 8:
            raise KeyboardInterrupt

    return stop


def whole_weights(strategy, directory):
    model = make_model(strategy, **MOVED)
    model.fit(make_data(), epochs=3, verbose=0)
    return {"weights": float(sum(np.abs(weight).sum(dtype="float64") for weight in model.get_weights()))}


CASES = {
    "some_steps": some_steps,
    "several_steps_per_execution": several_steps_per_execution,
    "loss_scaling": loss_scaling,
    "skipped_steps": skipped_steps,
    "whole_weights": whole_weights,
    "weights_after_resume": weights_after_resume,
    "twenty_steps": twenty_steps,
    "twenty_steps_compiled": twenty_steps_compiled,
}


def main():
    setting, directory, *names = sys.argv[1:]
    strategy = strategy_of(setting, timeout_s=60.0)
    for name in names:
        own = Path(directory, name) if name != "weights_after_resume" else Path(directory)
        own.mkdir(parents=True, exist_ok=True)
        try:
            result = CASES[name](strategy, own) or {}
        except BaseException:
            result = {"error": traceback.format_exc()}
        print(json.dumps(result), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
