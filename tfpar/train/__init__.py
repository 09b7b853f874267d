"""Training: the `keras.Model` whose `fit` is right on N replicas, and what goes with it."""

from tfpar.train.model import Model

__all__ = ["Model"]
