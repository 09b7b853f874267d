"""The device of traced operations; GPUs are named in scopes or listed by a stand-in, never used."""

import pytest
import tensorflow as tf

from tfpar.layers.recurrent.placement import device_type, within_xla


def asked_within(function_of_ask, *arguments, **options):
    """Return `device_type()` and `within_xla()` where `function_of_ask` calls its argument, traced."""
    results = []

    def ask():
        results.append((device_type(), within_xla()))

    tf.function(lambda *args: function_of_ask(ask, *args), autograph=False, **options).get_concrete_function(*arguments)
    return results


@pytest.mark.parametrize("scope", ["/GPU:0", "/gpu:1", "/job:worker/replica:0/task:3/device:GPU:0"])
def test_a_gpus_scope_around_the_trace_and_within_it(scope):
    def within(ask):
        with tf.device(scope):
            ask()

    assert asked_within(within) == [("GPU", False)]
    with tf.device(scope):
        assert device_type() == "GPU"
        assert asked_within(lambda ask: ask()) == [("GPU", False)]


def test_the_innermost_scope_counts():
    with tf.device("/GPU:0"), tf.device("/CPU:0"):
        assert device_type() == "CPU"
    with tf.device("/CPU:0"), tf.device("/GPU:0"):
        assert device_type() == "GPU"
    with tf.device("/TPU:0"):
        assert device_type() == "TPU"


def test_scopes_reach_into_branches_and_called_functions():
    def branch(ask, x):
        ask()
        return x

    def within(ask, x):
        with tf.device("/GPU:0"):
            tf.cond(x > 0, lambda: branch(ask, x), lambda: branch(ask, x))
            tf.function(branch, autograph=False)(ask, x)

    assert set(asked_within(within, tf.TensorSpec(()))) == {("GPU", False)}


def test_xla_reaches_into_branches_and_called_functions():
    def branch(ask, x):
        ask()
        return x

    def within(ask, x):
        ask()
        tf.cond(x > 0, lambda: branch(ask, x), lambda: branch(ask, x))
        tf.function(branch, autograph=False)(ask, x)

    assert not within_xla()
    assert {xla for _, xla in asked_within(within, tf.TensorSpec(()), jit_compile=True)} == {True}
    assert {xla for _, xla in asked_within(within, tf.TensorSpec(()))} == {False}


def test_a_visible_gpu_is_the_default_with_a_stand_in_for_the_list_of_devices(monkeypatch):
    for gpus, expected in (([], "CPU"), (["a GPU"], "GPU")):
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind, gpus=gpus: gpus)
        assert device_type() == expected
        with tf.device("/CPU:0"):
            assert device_type() == "CPU"


@pytest.mark.parametrize("make", [tf.distribute.OneDeviceStrategy, lambda d: tf.distribute.MirroredStrategy([d])])
def test_replicas_on_a_cpu_beside_a_gpu_with_a_stand_in_for_the_list_of_devices(make, monkeypatch):
    strategy = make("/CPU:0")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    assert device_type() == "GPU"
    with strategy.scope():
        assert device_type() == "CPU"
    assert asked_within(lambda ask: strategy.run(ask)) == [("CPU", False)]
