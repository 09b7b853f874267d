"""Types of the arguments of layers."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

Shape = tuple[int | None, ...]
States = tf.Tensor | Sequence[tf.Tensor] | None

ActivationLike = str | dict | Callable[[tf.Tensor], tf.Tensor] | None
InitializerLike = str | dict | keras.initializers.Initializer
RegularizerLike = str | dict | keras.regularizers.Regularizer | None
ConstraintLike = str | dict | keras.constraints.Constraint | None
