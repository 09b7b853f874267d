"""A model that was trained in mixed precision, for a while computing in float32: TFLite has no bfloat16."""

import contextlib
from collections.abc import Iterable, Iterator

import keras


@contextlib.contextmanager
def in_float32(models: Iterable[keras.Model]) -> Iterator[None]:
    """Within this context all layers of the models compute in float32, the dtype of their weights.

    What Keras has traced before, as `predict` does, stays as it is.
    """
    layers = {id(layer): layer for model in models for layer in model._flatten_layers()}.values()
    mixed = [(layer, layer.dtype_policy) for layer in layers if layer.dtype_policy.name.startswith("mixed_")]
    try:
        for layer, _ in mixed:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in mixed:
            layer.dtype_policy = policy
