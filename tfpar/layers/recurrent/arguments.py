"""Types of the constructor arguments of recurrent layers."""

from collections.abc import Callable

import keras
import tensorflow as tf

ActivationLike = str | dict | Callable[[tf.Tensor], tf.Tensor] | None
InitializerLike = str | dict | keras.initializers.Initializer
RegularizerLike = str | dict | keras.regularizers.Regularizer | None
ConstraintLike = str | dict | keras.constraints.Constraint | None
