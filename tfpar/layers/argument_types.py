"""Types of the arguments of layers."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

Shape = tuple[Any, ...]  # ints, and None where a size is not static
States = tf.Tensor | Sequence[tf.Tensor] | None

ActivationLike = str | dict | Callable[[tf.Tensor], tf.Tensor] | None
InitializerLike = str | dict | keras.initializers.Initializer
RegularizerLike = str | dict | keras.regularizers.Regularizer | None
ConstraintLike = str | dict | keras.constraints.Constraint | None
