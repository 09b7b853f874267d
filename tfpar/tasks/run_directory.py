"""`--model_dir`: what one run has finished, so that the same command continues it and never does anything twice.

Importing this module imports neither TensorFlow nor Keras.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tfpar.checkpoint_files import list_checkpoints, lock, read_newest, remove_all
from tfpar.cluster import is_chief
from tfpar.errors import UserError
from tfpar.export.bundle.manifest import list_files
from tfpar.files import written_atomically
from tfpar.tasks.config import Config, settings_of

CHECKPOINTS = "checkpoints"
_RESULT = "result.json"
_BACKUP_OF_0_1 = "backup"
_REMEDY = "Use another --model_dir or --restart"


def fingerprint(config: Config) -> dict[str, Any]:
    """Return the settings that must not change during a run, by name, as JSON holds them."""
    names = [name for name in settings_of(type(config)) if name not in config.CHANGEABLE]
    return json.loads(json.dumps({"task": type(config).__name__, **{name: getattr(config, name) for name in names}}))


def check_continues(config: Config) -> None:
    """Check that the settings are those of the run in `model_dir`, if there is one and no restart.

    Raises:
        UserError: a setting that alters the result differs, no checkpoint is intact, or another run uses the directory.
    """
    if config.model_dir is None:
        return
    directory = Path(config.model_dir)
    if is_chief() and (directory / CHECKPOINTS).is_dir() and (reserved := lock(directory / CHECKPOINTS)) is not None:
        os.close(reserved)  # training reserves it again
    if config.restart:
        return
    if (directory / _BACKUP_OF_0_1).exists() and not list_checkpoints(directory / CHECKPOINTS):
        raise UserError(f"--model_dir {directory} holds a backup of tfpar 0.1, which cannot be continued. {_REMEDY}")
    checkpoint, damaged = read_newest(directory / CHECKPOINTS)
    if checkpoint is None:
        if damaged:
            raise UserError(f"no checkpoint in --model_dir is intact: {'; '.join(map(str, damaged))}. {_REMEDY}")
        return
    former, now = checkpoint.facts["fingerprint"], fingerprint(config)
    for key, value in now.items():
        if key in former and former[key] != value:
            flag = key if key == "task" else f"--{key}"
            raise UserError(f"{flag} was {_show(former[key])} in this run; got {_show(value)}. {_REMEDY}")
    if not config.steps and checkpoint.facts["epoch"] > config.epochs:
        finished = checkpoint.facts["epoch"]
        raise UserError(
            f"--epochs must be {finished} or more, which this run has finished; got {config.epochs}. {_REMEDY}"
        )


def read_finished(config: Config) -> dict[str, Any] | None:
    """Return the result of a run that has finished all that is requested; None if something is missing.

    All workers decide alike, though the chief alone exports.
    """
    if config.model_dir is None or config.restart:
        return None
    directory = Path(config.model_dir)
    try:
        saved = json.loads((directory / _RESULT).read_bytes())
    except (OSError, ValueError):
        return None
    newest = list_checkpoints(directory / CHECKPOINTS)
    if not newest or saved["checkpoint"] != newest[0].name or saved["length"] != _length(config):
        return None
    exports = {report["format"] for report in saved["result"]["exports"]}
    formats = config.export if config.export_dir is not None else ()
    if not formats:
        return {**saved["result"], "exports": []}
    is_complete = set(formats) <= exports and saved["files"] == _list_files(config.export_dir)
    return saved["result"] if is_complete else None


def write_result(config: Config, result: dict[str, Any]) -> None:
    """Save the result of a run, after its evaluation or after its exports; on the chief alone."""
    if config.model_dir is None or not is_chief():
        return
    directory = Path(config.model_dir)
    saved = {
        "checkpoint": list_checkpoints(directory / CHECKPOINTS)[0].name,
        "length": _length(config),
        "files": _list_files(config.export_dir) if result["exports"] else [],
        "result": result,
    }
    with written_atomically(directory / _RESULT) as path:
        path.write_text(json.dumps(saved, indent=1))


def remove_run(config: Config) -> None:
    """Remove the run in `model_dir` if a restart is requested; on the chief alone. Other files stay."""
    if config.model_dir is None or not config.restart or not is_chief():
        return
    directory = Path(config.model_dir)
    remove_all(directory / CHECKPOINTS)
    for name in ("logs", _BACKUP_OF_0_1):
        shutil.rmtree(directory / name, ignore_errors=True)
    for name in ("history.csv", _RESULT):
        (directory / name).unlink(missing_ok=True)


def _length(config) -> list:
    return [config.epochs, config.steps]


def _list_files(directory) -> list:
    return list_files(Path(directory)) if directory is not None and Path(directory).is_dir() else []


def _show(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
