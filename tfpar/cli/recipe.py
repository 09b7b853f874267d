"""What all recipes do alike, as the common flags say: start, train, report."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

from absl import flags

from tfpar import cluster
from tfpar.cli.compilations import count_compilations
from tfpar.cli.extras import MATPLOTLIB, TENSORBOARD, TFDS, Package, check_installed
from tfpar.cli.json_result import find_non_finite
from tfpar.cli.run import start_tensorflow
from tfpar.errors import DivergedError, UserError
from tfpar.files import check_usable_directory

FLAGS = flags.FLAGS


def log(line: str) -> None:
    """Prints a line on stderr, in a cluster by the chief alone."""
    if cluster.is_chief():
        print(line, file=sys.stderr, flush=True)


def progress() -> int:
    """`verbose` for Keras: a bar on a terminal, else one line an epoch."""
    return 1 if sys.stderr.isatty() else 2


def use_unless_given(**settings) -> None:
    """Set the default of flags: they have these values unless they were given."""
    for name, value in settings.items():
        FLAGS.set_default(name, value)


def use_smoke_settings(**settings) -> None:
    """Set flags that were not given, and export nothing unless told where to."""
    use_unless_given(**settings)
    if not FLAGS["export_dir"].present:
        FLAGS.export = []


def use_micro_settings() -> None:
    """Export int8 unless told otherwise: not every format runs in TFLite Micro."""
    if FLAGS.export and not FLAGS["export"].present:
        log("--target micro: --export int8")
        use_unless_given(export=["int8"])


def check_micro_settings() -> None:
    """Make sure that TFLite Micro is there.

    Raises:
        UserError: `--export` lists a format that does not run there.
        MissingExtraError: tflite-micro is not installed.
    """
    from tfpar.export.micro.interpreter import check_micro

    check_micro()
    if not set(FLAGS.export) <= {"", "saved_model", "float32", "int8"}:
        raise UserError(
            f"--export for --target micro must list int8, float32, saved_model; got {','.join(FLAGS.export)}"
        )


def formats() -> tuple[str, ...]:
    """What is to be exported by this process."""
    return tuple(name for name in FLAGS.export if name) if cluster.is_chief() else ()


@dataclasses.dataclass(frozen=True)
class Run:
    """A recipe that has started.

    Attributes:
        strategy: how it trains.
        compilations: how many programs XLA has compiled so far.
    """

    strategy: object
    compilations: Callable[[], int]

    @property
    def replicas(self) -> int:
        return self.strategy.num_replicas_in_sync

    @contextlib.contextmanager
    def scope(self):
        """Within it models are made and trained."""
        with self.strategy.scope():
            yield

    def report(self, recipe: str, model, *, examples: dict, metrics: dict, measured: dict, padding_fraction: float):
        """The recipe's JSON object, but for its exports.

        Args:
            recipe: its name.
            model: the trained one.
            examples: how many there are, by split.
            metrics: on the test set, by name.
            measured: what `fit` returned.
            padding_fraction: of the training batches.

        Raises:
            DivergedError: a number is not finite.
        """
        result = {
            "recipe": recipe,
            "dataset": FLAGS.dataset if not FLAGS.smoke else "generated",
            "cell": FLAGS.cell,
            "strategy": self.strategy.tfpar_choice.name,
            "replicas": self.replicas,
            "xla": FLAGS.xla,
            "examples": examples,
            "metrics": {name: float(value) for name, value in metrics.items()},
            **measured,
            "compilations": self.compilations(),
            "padding_fraction": padding_fraction,
            "weights_abs_sum": float(sum(abs(v.numpy()).sum(dtype="float64") for v in model.trainable_variables)),
        }
        if found := find_non_finite(result):
            raise DivergedError(found)
        return result


def start(*packages: Package) -> Run:
    """Check what the run needs and where it will write; start TensorFlow: strategy, seed, precision.

    Args:
        packages: optional ones that this recipe needs, beside those that its common flags need.

    Raises:
        UserError: something is not installed or cannot be written, or the strategy cannot be had.
    """
    check_installed(*packages, *_packages_of_flags())
    if FLAGS.target == "micro":
        check_micro_settings()
    import tfpar

    if formats():
        tfpar.export.check_writable(FLAGS.export_dir)
    if FLAGS.model_dir:
        check_usable_directory(Path(FLAGS.model_dir), "--model_dir")
    compilations = count_compilations()
    start_tensorflow()
    if not FLAGS.xla:
        cluster.keep_operations_on_one_thread()
    strategy = cluster.make_strategy(FLAGS.strategy, FLAGS.replicas, timeout_s=FLAGS.worker_timeout_s)
    log(f"strategy: {strategy.tfpar_choice}; XLA {'on' if FLAGS.xla else 'off'}; {FLAGS.precision}")
    import keras

    keras.utils.set_random_seed(FLAGS.seed)
    keras.config.set_dtype_policy(FLAGS.precision)
    return Run(strategy, compilations)


def _packages_of_flags():
    """Optional packages that the common flags need, some of them hours later."""
    if formats():
        yield MATPLOTLIB
    if FLAGS.model_dir:
        yield TENSORBOARD
    if FLAGS.dataset.startswith("tfds:") and not FLAGS.smoke:
        yield TFDS


def facts(name: str, summary: str, data, counts: str, result: dict) -> dict:
    """What card and manifest say of a run.

    Args:
        name: of the recipe.
        summary: what the model is, in a sentence.
        data: the data set, with `name`, `split_rule` and `notice`.
        counts: how many examples it has, in words.
        result: of `Run.report`.
    """
    from tfpar import export

    return {
        "name": name,
        "summary": summary,
        "data": f"{data.name}: {counts}.",
        "split": data.split_rule,
        "notice": data.notice,
        "command": " ".join(["python", *sys.argv]),
        "metrics": result["metrics"],
        "train_seconds": result["train_seconds"],
        "versions": export.read_versions(),
    }


def first_epoch() -> int:
    """The epoch that training begins with: behind those that an earlier run has finished."""
    from tfpar import train

    return train.finished_epochs(FLAGS.model_dir) if FLAGS.model_dir else 0


def optimizer(steps: int, clip_norm: float | None = None):
    """AdamW as the flags say, for so many steps; `clip_norm` replaces the flag's."""
    from tfpar import train

    return train.adamw(
        learning_rate=FLAGS.learning_rate,
        steps=max(1, steps // FLAGS.accumulate_steps),
        weight_decay=FLAGS.weight_decay,
        clip_norm=FLAGS.clip_norm if clip_norm is None else clip_norm,
        accumulate_steps=FLAGS.accumulate_steps,
        ema=FLAGS.ema,
    )


def training_steps(batches) -> int:
    """How many steps the flags ask for."""
    return FLAGS.steps or FLAGS.epochs * len(batches)


def lanes(model) -> int:
    """Lanes of a batch: a core each. Convolutions, too, are faster so than spread over the cores one by one."""
    return cluster.cpu_lanes(model.distribute_strategy, FLAGS.batch_size)


def stop_at_divergence():
    """Make a callback that raises DivergedError at the end of an epoch with a loss or metric that is not finite.

    It must be the first one, so that no later one keeps the weights of such an epoch.
    """
    import keras

    def check(epoch, logs):
        if found := find_non_finite({name: float(value) for name, value in (logs or {}).items()}):
            raise DivergedError(f"{found} at the end of epoch {epoch + 1}")

    return keras.callbacks.LambdaCallback(on_epoch_end=check)


def fit(model, batches, validation, *, examples: int, monitor: str = "val_loss", callbacks=()):
    """Trains a compiled model as the flags say.

    Args:
        model: a compiled `tfpar.train.Model`.
        batches: the training dataset, which shuffles by itself and knows its length.
        validation: the validation dataset.
        examples: in an epoch.
        monitor: what early stopping looks at.
        callbacks: more of them.

    Returns:
        The history, and {"train_seconds", "examples_per_second", "epochs"}.

    Raises:
        DivergedError: a loss or metric is not finite at the end of an epoch.
    """
    import keras
    import numpy as np

    from tfpar import train

    throughput = train.Throughput(examples)
    callbacks = [stop_at_divergence(), throughput, *callbacks]
    if FLAGS.steps:
        callbacks.append(train.StopAtStep(FLAGS.steps))
    if FLAGS.patience:
        callbacks.append(keras.callbacks.EarlyStopping(monitor, patience=FLAGS.patience, restore_best_weights=True))
    if FLAGS.model_dir:
        callbacks += train.logging_callbacks(FLAGS.model_dir)
    model.lanes = lanes(model)
    model.steps_per_execution = 1 if FLAGS.steps else FLAGS.steps_per_execution  # --steps may end within an execution
    start = time.perf_counter()
    history = model.fit(
        batches,
        validation_data=validation,
        shuffle=False,  # the batches do
        epochs=-(-training_steps(batches) // len(batches)),
        callbacks=callbacks,
        verbose=progress(),
    ).history
    if not all(np.isfinite(variable.numpy()).all() for variable in model.trainable_variables):
        raise DivergedError("a weight is not finite after training")
    return history, {
        "train_seconds": time.perf_counter() - start,
        "examples_per_second": throughput.examples_per_second,
        "epochs": len(history["loss"]),
    }


def scores(model, batches) -> dict[str, float]:
    """Accuracy and loss of a classifier that is compiled with a weighted metric of the name "accuracy"."""
    measured = model.evaluate(batches, verbose=0, return_dict=True)
    return {name: measured[name] for name in ("accuracy", "loss")}
