"""TPUs: found by `TPUClusterResolver` on a TPU VM, or in Cloud by the name in TPU_NAME."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def connect() -> int:
    """Start the TPU system, if there is one.

    Returns:
        Number of TPU cores; 0 if there is none, or it does not respond.
    """
    import tensorflow as tf

    if not tf.config.list_logical_devices("TPU"):
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=_name())
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
        except (tf.errors.OpError, OSError, ValueError):  # no such device, no such name, no such address
            return 0
    return len(tf.config.list_logical_devices("TPU"))


def make_tpu_strategy() -> "tf.distribute.TPUStrategy":
    """Make a `tf.distribute.TPUStrategy` of all cores."""
    import tensorflow as tf

    connect()
    return tf.distribute.TPUStrategy(tf.distribute.cluster_resolver.TPUClusterResolver(tpu=_name()))


def _name():
    return os.environ.get("TPU_NAME", "local")
