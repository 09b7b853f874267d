"""Leaves the scope of a `tf.distribute` strategy for a while."""

import contextlib
import inspect


@contextlib.contextmanager
def outside_scope():
    """Hide the strategy within this context, as if the block `with strategy.scope():` around it had not been entered.

    Within the scope of several workers each new variable is a broadcast, in which all workers must take part. Work that
    only the chief does belongs outside: Keras, for one, makes variables while it saves.
    """
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        yield
        return
    with without_strategy(), tf.variable_creator_scope(_create_plain_variable):
        yield


@contextlib.contextmanager
def without_strategy():
    """Within this context `tf.distribute.get_strategy` returns the default strategy, of one replica."""
    from tensorflow.python.distribute import distribute_lib

    distribute_lib._push_per_thread_mode(distribute_lib._get_default_replica_mode())
    try:
        yield
    finally:
        distribute_lib._pop_per_thread_mode()


def _create_plain_variable(next_creator, **kwargs):
    """Create a variable without `next_creator`, which is the hidden strategy's."""
    from tensorflow.python.ops.resource_variable_ops import ResourceVariable, UninitializedVariable

    # A SavedModel is loaded into variables without initial values.
    kind = UninitializedVariable if kwargs.get("initial_value") is None else ResourceVariable
    accepted = inspect.signature(kind.__init__).parameters
    return kind(**{name: value for name, value in kwargs.items() if name in accepted})
