"""Types of type hints in this package."""

from typing import Any

import tensorflow as tf

Nest = Any  # tuples, lists and dicts, at any depth, with tensors or other leaves
Logs = dict[str, Any]  # tensors, arrays or numbers by the name of a metric
Gradient = tf.Tensor | tf.IndexedSlices
