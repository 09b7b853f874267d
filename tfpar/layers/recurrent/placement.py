"""The device of operations that are created here, and whether XLA compiles them."""

import tensorflow as tf

from tfpar import tensorflow_private


def device_type() -> str:
    """Return the type of the device of operations that are created here: "GPU", "CPU" or "TPU".

    It is the device of the innermost scope; in cross-replica context, that of the strategy; else TensorFlow's default.
    """
    if tf.distribute.has_strategy() and tf.distribute.in_cross_replica_context():
        device = tf.distribute.get_strategy().extended.worker_devices[0]
    else:
        # This includes scopes around the trace of a function, which its graph does not know.
        device = tensorflow_private.device_in_scope()
    requested = tf.DeviceSpec.from_string(device).device_type
    return requested or ("GPU" if tf.config.list_logical_devices("GPU") else "CPU")


def within_xla() -> bool:
    """Whether XLA compiles the function that is traced here, or an enclosing one."""
    return tensorflow_private.is_within_xla()


def has_bfloat16() -> bool:
    """Whether all GPUs have compute capability 8.0 or higher, and thus bfloat16; unknown capabilities count as 8.0."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return all(detail.get("compute_capability", (8, 0)) >= (8, 0) for detail in details)


def is_rocm() -> bool:
    """Whether this TensorFlow is for AMD GPUs, whose library has another order of weights."""
    return bool(tf.sysconfig.get_build_info().get("is_rocm_build"))
