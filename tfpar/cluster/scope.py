"""Hides a `tf.distribute` strategy temporarily."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def outside_scope() -> Iterator[None]:
    """Hide the strategy within this context, as outside of `with strategy.scope():`.

    Within the scope of several workers each new variable is a broadcast, in which all workers must take part. Work of
    the chief alone must therefore be outside: Keras, for example, makes variables while it saves.
    """
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        yield
        return
    from tfpar.tensorflow_private import make_plain_variable, without_strategy

    with without_strategy(), tf.variable_creator_scope(make_plain_variable):
        yield
