"""Optimizer and training loop as a `Config` describes them."""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfpar import cluster
from tfpar.checkpoint_interval import parse_interval
from tfpar.checks import find_non_finite
from tfpar.errors import DivergedError, UserError
from tfpar.files import full_disk_named
from tfpar.tasks.config import Config
from tfpar.tasks.console import progress
from tfpar.tasks.run_directory import fingerprint


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
    """Return the number of lanes of a batch, one for each core: faster than operations that share all cores.

    It is 1 if a layer has the statistics of whole batches, which lanes do not share.
    """
    from tfpar.train.checks import list_synchronized_layers

    if list_synchronized_layers(model):
        return 1
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


def count_steps_per_execution(config: Config) -> int:
    """Return the number of steps at a time: checkpoints, and the end of `steps`, are between executions."""
    if config.steps:
        return 1
    interval = parse_interval(config.checkpoint_every)
    if not config.model_dir or interval.unit != "steps" or config.is_given("steps_per_execution"):
        return config.steps_per_execution
    return max(n for n in range(1, config.steps_per_execution + 1) if interval.count % n == 0)


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
        The history of the whole run, and {"train_seconds", "examples_per_second", "epochs", "skipped_steps"}.

    Raises:
        DivergedError: too many steps were skipped, or a loss, metric or weight is not finite.
        UserError: the run in `model_dir` is of other data or another model.
    """
    import numpy as np

    from tfpar import train

    guard = make_guard(config)
    throughput = train.Throughput(examples)
    model.lanes = count_lanes(config, model)
    model.steps_per_execution = count_steps_per_execution(config)
    logging = _make_logging(config, batches, validation) if config.model_dir else []
    callbacks = [guard, stop_at_divergence(), throughput, *callbacks, *_make_callbacks(config, monitor), *logging]
    with full_disk_named(Path(config.model_dir)) if config.model_dir else contextlib.nullcontext():
        history = model.fit(
            batches,
            validation_data=validation,
            shuffle=False,  # the batches do
            epochs=-(-count_steps(config, batches) // len(batches)),
            callbacks=callbacks,
            verbose=progress(),
        ).history
    if not all(np.isfinite(variable.numpy()).all() for variable in model.trainable_variables):
        raise DivergedError("a weight is not finite after training")
    return history, {
        "train_seconds": throughput.train_seconds,
        "examples_per_second": throughput.examples_per_second,
        "epochs": len(history["loss"]),
        "skipped_steps": guard.skipped_steps,
    }


def make_guard(config: Config) -> Any:
    """Make the callback that skips steps whose loss or gradients are not finite.

    Raises:
        UserError: it is to go back to a checkpoint, and there is no `model_dir`.
    """
    from tfpar import train

    if config.on_non_finite == "rewind" and not config.model_dir:
        raise UserError("--on_non_finite must be stop without --model_dir, which has the checkpoints; got rewind")
    return train.NonFiniteGuard(config.max_skipped_steps, config.on_non_finite)


def _make_callbacks(config, monitor):
    import keras

    from tfpar import train

    callbacks = []
    if config.steps:
        callbacks.append(train.StopAtStep(config.steps))
    if config.patience:
        callbacks.append(keras.callbacks.EarlyStopping(monitor, patience=config.patience, restore_best_weights=True))
    return callbacks


def _make_logging(config, batches, validation):
    """Make the callbacks that write into `model_dir`."""
    from tfpar import train

    facts: dict[str, Any] = {"batches of an epoch": len(batches)}
    if validation is not None:
        facts["first validation batch"] = _hash_first_batch(validation)
    return train.logging_callbacks(
        config.model_dir,
        every=config.checkpoint_every,
        keep=config.keep_checkpoints,
        fingerprint={**fingerprint(config), **facts},
        replays_epochs=False,
    )


def _hash_first_batch(batches) -> str:
    import tensorflow as tf

    leaves = tf.nest.flatten(next(iter(batches)))
    return hashlib.sha256(b"".join(leaf.numpy().tobytes() for leaf in leaves)).hexdigest()


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
