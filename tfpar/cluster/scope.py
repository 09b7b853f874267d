"""Leaves the scope of a `tf.distribute` strategy for a while."""

import contextlib


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
    from tfpar.keras_private import make_plain_variable, without_strategy

    with without_strategy(), tf.variable_creator_scope(make_plain_variable):
        yield
