"""Signatures of Keras' methods for type checkers, since Keras has no annotations of its own."""

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

import keras

from tfpar.train.types import Nest

FilePath = str | os.PathLike[str]
_Declared = TypeVar("_Declared", bound=Callable[..., Any])


def overrides(declared: _Declared) -> Callable[[Callable[..., Any]], _Declared]:
    """Make a decorator for an override of a `keras.Model` method with any arguments.

    At run time it has the signature and the documentation of Keras' method.

    Args:
        declared: function of this module with the method's name, whose signature type checkers see.
    """

    def decorate(method: Callable[..., Any]) -> Any:
        return functools.wraps(getattr(keras.Model, declared.__name__))(method)

    return decorate


def compile(
    self: Any,
    optimizer: str | dict[str, Any] | keras.optimizers.Optimizer = "rmsprop",
    loss: Nest = None,
    loss_weights: Nest = None,
    metrics: Nest = None,
    weighted_metrics: Nest = None,
    run_eagerly: bool = False,
    steps_per_execution: int = 1,
    jit_compile: bool | str = "auto",
    auto_scale_loss: bool = True,
) -> None:
    """Declare `keras.Model.compile`."""


def fit(
    self: Any,
    x: Nest = None,
    y: Nest = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Nest = None,
    shuffle: bool = True,
    class_weight: dict[int, float] | None = None,
    sample_weight: Nest = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: Any = 1,
) -> keras.callbacks.History:
    """Declare `keras.Model.fit`."""


def evaluate(
    self: Any,
    x: Nest = None,
    y: Nest = None,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    sample_weight: Nest = None,
    steps: int | None = None,
    callbacks: Any = None,
    return_dict: bool = False,
    **kwargs: Any,
) -> Any:
    """Declare `keras.Model.evaluate`, which returns a number, a list or, by `return_dict`, a dict."""


def predict(
    self: Any,
    x: Nest,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    steps: int | None = None,
    callbacks: Any = None,
) -> Nest:
    """Declare `keras.Model.predict`."""


def train_on_batch(
    self: Any,
    x: Nest,
    y: Nest = None,
    sample_weight: Nest = None,
    class_weight: dict[int, float] | None = None,
    return_dict: bool = False,
) -> Any:
    """Declare `keras.Model.train_on_batch`, which returns as `evaluate` does."""


def test_on_batch(self: Any, x: Nest, y: Nest = None, sample_weight: Nest = None, return_dict: bool = False) -> Any:
    """Declare `keras.Model.test_on_batch`, which returns as `evaluate` does."""


def predict_on_batch(self: Any, x: Nest) -> Nest:
    """Declare `keras.Model.predict_on_batch`."""


def save(self: Any, filepath: FilePath, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Declare `keras.Model.save`."""


def save_weights(
    self: Any, filepath: FilePath, overwrite: bool = True, max_shard_size: int | float | None = None
) -> None:
    """Declare `keras.Model.save_weights`."""


def load_weights(self: Any, filepath: FilePath, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Declare `keras.Model.load_weights`."""


def export(
    self: Any,
    filepath: FilePath,
    format: str = "tf_saved_model",
    verbose: bool | None = None,
    input_signature: Nest = None,
    **kwargs: Any,
) -> None:
    """Declare `keras.Model.export`."""
