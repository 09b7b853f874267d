"""Run a task from its settings to its result."""

import contextlib
import shlex
from collections.abc import Sequence
from typing import Any

from tfpar.checks import find_non_finite
from tfpar.cluster import stop_request
from tfpar.errors import DivergedError, UserError
from tfpar.tasks.base import Evaluation, Task
from tfpar.tasks.config import Config
from tfpar.tasks.console import log
from tfpar.tasks.run_directory import check_continues, read_finished, remove_run, write_result
from tfpar.tasks.startup import Session, formats_to_export, start


def run(task: type[Task], config: Config | None = None, *, command: str | None = None) -> dict[str, Any]:
    """Train, evaluate and export a model.

    It sets Keras' random seed. Settings of TensorFlow's devices and threads hold for the process: give
    the same `strategy`, `replicas` and `xla` to each call in one process.

    Args:
        task: class of the task, such as `tfpar.tasks.text_classification.TextClassification`.
        config: its settings; None: the defaults.
        command: how to repeat the run, for the card of the export; None: this call.

    Returns:
        The result: "recipe", "dataset", "metrics", "weights_abs_sum", "exports", ... It holds finite numbers only and
        can be written as JSON.

    Raises:
        UserError: settings exclude each other, or data, packages or directories are not as required.
        DivergedError: a loss, metric or weight is not finite.
    """
    steps = task(task.config_class() if config is None else config)
    config = steps.config
    for note in config.notes():
        log(note)
    config.check()
    check_continues(config)
    if (result := read_finished(config)) is not None:
        log(f"the run in --model_dir {config.model_dir} is finished, and nothing is missing: this is its result")
        return result
    session = start(config, *steps.packages())
    remove_run(config)
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        with stop_request.handled() if config.model_dir else contextlib.nullcontext():
            return _run_steps(steps, session, command or describe_call(task, config))
    finally:
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def _value_errors_as_user_errors():
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from None


def _run_steps(steps: Task, session: Session, command: str) -> dict[str, Any]:
    from tfpar.layers.recurrent.cells import find_layer, set_evaluation

    # A layer that cannot be imported, or evaluated like that, is refused before data are loaded.
    layer_class, way = find_layer(steps.config.cell), steps.config.evaluation
    with _value_errors_as_user_errors():
        layer_class.check_evaluation(way)
    data = steps.load(session.replicas)
    with session.strategy.scope():
        model = steps.build(data)
        with _value_errors_as_user_errors():
            set_evaluation(model, way)
        history, measured = steps.fit(model, data)
        evaluation = steps.evaluate(model, data) if steps.evaluates_in_scope else None
    compilations = session.count_compilations()
    if evaluation is None:
        evaluation = steps.evaluate(model, data)
    result = {**_report(steps, session, model, data, evaluation, measured, compilations), "exports": []}
    write_result(steps.config, result)
    if formats := formats_to_export(steps.config):
        facts = _facts(steps, data, result, command) | _describe_run(session, model)
        exporter = steps.make_exporter(model, data, evaluation, history, facts)
        assert steps.config.export_dir is not None
        result["exports"] = exporter.write(steps.config.export_dir, formats, gate=not steps.config.smoke)
        write_result(steps.config, result)
    return result


def describe_call(task: type[Task], config: Config) -> str:
    """Return the call of `run` with the settings that were given, as Python."""
    settings = ", ".join(f"{name}={value!r}" for name, value in config.given().items())
    return f"tfpar.tasks.run({task.__name__}, {type(config).__name__}({settings}))"


def _report(
    steps: Task, session: Session, model: Any, data: Any, evaluation: Evaluation, measured: dict, compilations: int
) -> dict[str, Any]:
    """Return the result without its exports."""
    config = steps.config
    result = {
        "recipe": steps.name,
        "dataset": "generated" if config.smoke else config.dataset,
        "cell": config.cell,
        "strategy": session.strategy.tfpar_choice.name,
        "replicas": session.replicas,
        "xla": config.xla,
        "examples": steps.count_examples(data),
        "metrics": {name: float(value) for name, value in evaluation.metrics.items()},
        **measured,
        "compilations": compilations,
        "padding_fraction": steps.padding_fraction(data),
        "weights_abs_sum": float(sum(abs(v.numpy()).sum(dtype="float64") for v in model.trainable_variables)),
        **evaluation.results,
    }
    if found := find_non_finite(result):
        raise DivergedError(found)
    return result


def _facts(steps: Task, data: Any, result: dict, command: str) -> dict[str, Any]:
    """Return entries of the manifest and the card of an export."""
    from tfpar import export

    return {
        "name": steps.name,
        "summary": steps.describe_model(),
        "data": f"{data.name}: {steps.describe_counts(data)}.",
        "split": data.split_rule,
        "notice": data.notice,
        "command": command,
        "metrics": result["metrics"],
        "train_seconds": result["train_seconds"],
        "versions": export.read_versions(),
    }


def _describe_run(session: Session, model: Any) -> dict[str, Any]:
    """Return the strategy, and the kernels of recurrent layers, with reasons."""
    kernels = [layer.explain() for layer in model.layers if hasattr(layer, "explain")]
    return {"strategy": str(session.strategy.tfpar_choice), "kernels": kernels}


def summarize(task: Task, result: dict[str, Any], arguments: Sequence[str]) -> list[str]:
    """Return lines for people: metrics, written files, and the next command to try.

    Args:
        task: that was run.
        result: what `run` returned.
        arguments: of the command line, with the program first.
    """
    config = task.config
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in result["metrics"].items())
    lines = [
        f"{task.name}: {metrics} on {result['examples']['test']:,} test examples; trained for "
        f"{result['train_seconds']:.0f} s"
    ]
    written = [report["format"] for report in result["exports"] if "refused" not in report]
    if written:
        lines.append(f"exported to {config.export_dir}: {', '.join(written)}; see card.md there")
        lines.append(f"next: tfpar predict {config.export_dir} {task.example_input}")
    elif config.smoke:
        full_run = [argument for argument in arguments if argument.lstrip("-").partition("=")[0] != "smoke"]
        lines.append(f"next, without --smoke: {shlex.join(full_run)}")
    else:
        lines.append(f"nothing was exported; next, to export: {shlex.join(arguments)} --export_dir DIRECTORY")
    return lines
