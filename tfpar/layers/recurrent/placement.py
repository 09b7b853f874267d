"""Where the operations run that are made now: on which kind of device, and whether within a program of XLA's."""

import tensorflow as tf

from tfpar import keras_private


def device_type() -> str:
    """Says on which kind of device operations run that are made here: "GPU", "CPU" or "TPU".

    That is the device of the innermost scope; between replicas, the one of the strategy's; else TensorFlow's default.
    """
    if tf.distribute.has_strategy() and tf.distribute.in_cross_replica_context():
        device = tf.distribute.get_strategy().extended.worker_devices[0]
    else:
        device = keras_private.device_in_scope()
    asked_for = tf.DeviceSpec.from_string(device).device_type
    return asked_for or ("GPU" if tf.config.list_logical_devices("GPU") else "CPU")


def within_xla() -> bool:
    """Whether XLA compiles the function that is traced here, or one around it."""
    return keras_private.is_within_xla()


def has_bfloat16() -> bool:
    """Whether all GPUs compute in bfloat16: from compute capability 8.0 on. One that is not there is taken to."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return all(detail.get("compute_capability", (8, 0)) >= (8, 0) for detail in details)


def is_rocm() -> bool:
    """Whether this TensorFlow is for AMD's GPUs, whose library stores weights in another order."""
    return bool(tf.sysconfig.get_build_info().get("is_rocm_build"))
