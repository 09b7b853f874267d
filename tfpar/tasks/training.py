"""Optimizer and training loop as a `Config` describes them."""

import time
from collections.abc import Sequence
from typing import Any

from tfpar import cluster
from tfpar.checks import find_non_finite
from tfpar.errors import DivergedError
from tfpar.tasks.config import Config
from tfpar.tasks.console import progress


def make_optimizer(config: Config, steps: int, clip_norm: float | None = None) -> Any:
    """Make AdamW for a number of steps; `clip_norm` replaces the setting's."""
    from tfpar import train

    return train.adamw(
        learning_rate=config.learning_rate,
        steps=max(1, steps // config.accumulate_steps),
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm if clip_norm is None else clip_norm,
        accumulate_steps=config.accumulate_steps,
        ema=config.ema,
    )


def count_steps(config: Config, batches: Any) -> int:
    """Return the number of training steps, with `batches` as one epoch."""
    return config.steps or config.epochs * len(batches)


def first_epoch(config: Config) -> int:
    """Return the epoch that training starts with: the first that an earlier run in `model_dir` did not finish."""
    from tfpar import train

    return train.finished_epochs(config.model_dir) if config.model_dir else 0


def count_lanes(config: Config, model: Any) -> int:
    """Return the number of lanes of a batch, one for each core: faster than operations that share all cores."""
    return cluster.cpu_lanes(model.distribute_strategy, config.batch_size)


def stop_at_divergence() -> Any:
    """Make a callback that raises DivergedError after an epoch with a loss or metric that is not finite.

    It must be the first one, so that no later one saves the weights of such an epoch.
    """
    import keras

    def check(epoch, logs):
        if found := find_non_finite({name: float(value) for name, value in (logs or {}).items()}):
            raise DivergedError(f"{found} at the end of epoch {epoch + 1}")

    return keras.callbacks.LambdaCallback(on_epoch_end=check)


def fit(
    config: Config,
    model: Any,
    batches: Any,
    validation: Any,
    *,
    examples: int,
    monitor: str = "val_loss",
    callbacks: Sequence[Any] = (),
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Train a compiled model.

    Args:
        config: settings of the run.
        model: a compiled `tfpar.train.Model`.
        batches: the training dataset; it shuffles by itself and has a length.
        validation: the validation dataset, or None.
        examples: number of them in an epoch.
        monitor: name of the quantity for early stopping.
        callbacks: more callbacks of Keras.

    Returns:
        The history, and {"train_seconds", "examples_per_second", "epochs"}.

    Raises:
        DivergedError: a loss or metric is not finite at the end of an epoch, or a weight at the end of training.
    """
    import numpy as np

    from tfpar import train

    throughput = train.Throughput(examples)
    model.lanes = count_lanes(config, model)
    model.steps_per_execution = 1 if config.steps else config.steps_per_execution  # `steps` may end within an execution
    start = time.perf_counter()
    history = model.fit(
        batches,
        validation_data=validation,
        shuffle=False,  # the batches do
        epochs=-(-count_steps(config, batches) // len(batches)),
        callbacks=[stop_at_divergence(), throughput, *callbacks, *_make_callbacks(config, monitor)],
        verbose=progress(),
    ).history
    if not all(np.isfinite(variable.numpy()).all() for variable in model.trainable_variables):
        raise DivergedError("a weight is not finite after training")
    return history, {
        "train_seconds": time.perf_counter() - start,
        "examples_per_second": throughput.examples_per_second,
        "epochs": len(history["loss"]),
    }


def _make_callbacks(config, monitor):
    import keras

    from tfpar import train

    callbacks = []
    if config.steps:
        callbacks.append(train.StopAtStep(config.steps))
    if config.patience:
        callbacks.append(keras.callbacks.EarlyStopping(monitor, patience=config.patience, restore_best_weights=True))
    if config.model_dir:
        callbacks += train.logging_callbacks(config.model_dir)
    return callbacks


def pretrain(config: Config, model: Any, batches: Any, epochs: int) -> None:
    """Train a compiled model for some epochs before training proper; for two steps in a smoke run."""
    limit = {"steps_per_epoch": 2} if config.smoke else {}
    model.fit(
        batches,
        epochs=1 if config.smoke else epochs,
        verbose=progress(),
        callbacks=[stop_at_divergence()],
        **limit,
    )


def evaluate_classifier(model: Any, batches: Any) -> dict[str, float]:
    """Return {"accuracy", "loss"} of a classifier that is compiled with a weighted metric named "accuracy"."""
    measured = model.evaluate(batches, verbose=0, return_dict=True)
    return {name: measured[name] for name in ("accuracy", "loss")}
