"""`CellView`: the weights of a recurrent layer under the name of a Keras cell."""

from typing import TYPE_CHECKING, Any

import keras

from tfpar import keras_private

if TYPE_CHECKING:
    from tfpar.layers.recurrent.base import RecurrentLayer


class CellView(keras_private.SavedObject):
    """A view of a layer's weights as those of a cell, where Keras stores them, so that files are interchangeable.

    Args:
        layer: a `RecurrentLayer`.

    Attributes:
        kernel, recurrent_kernel, bias: the layer's.
    """

    def __init__(self, layer: "RecurrentLayer"):
        self._layer = lambda: layer  # a closure: Keras would save an attribute recursively

    kernel = property(lambda self: self._layer().kernel)
    recurrent_kernel = property(lambda self: self._layer().recurrent_kernel)
    bias = property(lambda self: self._layer().bias)

    def save_own_variables(self, store: Any) -> None:
        """Save the layer's weights."""
        keras.layers.Layer.save_own_variables(self._layer(), store)

    def load_own_variables(self, store: Any) -> None:
        """Load the layer's weights, unless the file is of an earlier version and the layer has loaded them."""
        if not self._layer().has_loaded_own_variables:
            keras.layers.Layer.load_own_variables(self._layer(), store)
