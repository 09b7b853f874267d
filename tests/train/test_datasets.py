"""`fit` and `evaluate` of a `tf.data.Dataset` turn autotuning off unless it is configured, and give no warning."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from training import X, dense

from tfpar.train import Model


def configured(**autotune):
    options = tf.data.Options()
    for name, value in autotune.items():
        setattr(options.autotune, name, value)
    return tf.data.Dataset.from_tensor_slices((X, np.zeros((10, 3), "float32"))).batch(4).with_options(options)


@pytest.mark.parametrize(
    "given, used", [({}, False), ({"enabled": True}, True), ({"cpu_budget": 2}, None)], ids=["unset", "on", "budget"]
)
def test_autotuning_is_off_unless_it_is_configured(given, used):
    seen = []

    class Watching(Model):
        def _maybe_symbolic_build(self, iterator=None, data_batch=None):
            seen.append(iterator._distributed_dataset.options().autotune.enabled)
            return super()._maybe_symbolic_build(iterator, data_batch)

    model = dense(Watching)
    model.compile("sgd", "mse", run_eagerly=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(configured(**given), validation_data=configured(**given), verbose=0)
        model.evaluate(configured(**given), verbose=0)
    assert seen == [used] * 3


def test_shuffle_with_a_dataset_warns():
    model = dense(Model)
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.warns(UserWarning, match="`shuffle=True` was passed, but will be ignored"):
        model.fit(configured(), shuffle=True, verbose=0)
