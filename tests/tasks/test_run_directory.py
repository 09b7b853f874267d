"""`--model_dir`: a run is continued with the flags it began with, finished once, and restarted on request."""

import os
import shutil
from pathlib import Path

import pytest

from tfpar.checkpoint_files import checkpoint_name, lock, write_checkpoint
from tfpar.errors import UserError
from tfpar.tasks.run_directory import check_continues, fingerprint, read_finished, remove_run, write_result
from tfpar.tasks.text_classification import TextClassificationConfig

RESULT = {"recipe": "sentiment", "metrics": {"accuracy": 0.8}, "exports": []}


@pytest.fixture
def make_config(tmp_path):
    def make(**settings):
        paths = {"model_dir": str(tmp_path / "run"), "export_dir": str(tmp_path / "export")}
        return TextClassificationConfig(**{"batch_size": 32, "epochs": 4, "export": ("float32",), **paths, **settings})

    return make


@pytest.fixture
def checkpoints(tmp_path, make_config):
    """The directory of the checkpoints of a run that has finished four epochs."""
    directory = tmp_path / "run" / "checkpoints"
    facts = {"step": 80, "epoch": 4, "batch": 0, "fingerprint": fingerprint(make_config())}
    for step in (60, 80):
        write_checkpoint(directory, checkpoint_name(step, step // 20), {"state.json": b"{}"}, facts)
    return directory


def export(config):
    """Write an export, and the result of the run with it."""
    path = Path(config.export_dir, "model.float32.tflite")
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    path.write_bytes(b"model")
    result = {**RESULT, "exports": [{"format": "float32", "path": str(path), "bytes": 5}]}
    write_result(config, result)
    return result


@pytest.mark.parametrize("restart", [False, True])
def test_a_directory_in_use_is_refused(checkpoints, make_config, restart):
    descriptor = lock(checkpoints)
    with pytest.raises(UserError, match="checkpoints is in use by another run"):
        check_continues(make_config(restart=restart))
    os.close(descriptor)
    check_continues(make_config(restart=restart))


def test_flags_that_do_not_alter_the_result_may_change(checkpoints, make_config):
    check_continues(make_config())
    changed = dict(strategy="mirrored", replicas=2, epochs=9, checkpoint_every="5steps", keep_checkpoints=3, xla=False)
    check_continues(make_config(**changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 64}, r"^--batch_size was 32 in this run; got 64\. Use another --model_dir or --restart$"),
        ({"dropout": 0.1}, "^--dropout was 0.5 in this run; got 0.1"),
        ({"patience": 3}, "^--patience was 0 in this run; got 3"),
        ({"smoke": True}, "was .* in this run; got "),
        ({"epochs": 3}, "^--epochs must be 4 or more, which this run has finished; got 3"),
    ],
)
def test_flags_that_alter_the_result_are_refused_by_name(checkpoints, make_config, changed, message):
    with pytest.raises(UserError, match=message):
        check_continues(make_config(**changed))
    restarted = make_config(**changed, restart=True)
    check_continues(restarted)
    remove_run(restarted)
    check_continues(make_config(**changed))


def test_a_restart_removes_what_the_run_has_written_and_nothing_else(tmp_path, checkpoints, make_config):
    for name in ("logs/train/events", "history.csv", "result.json", "notes.txt"):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text("x")
    remove_run(make_config())
    assert checkpoints.exists()
    remove_run(make_config(restart=True))
    assert [path.name for path in (tmp_path / "run").rglob("*") if path.is_file()] == ["notes.txt"]


def test_a_run_of_which_no_checkpoint_is_intact_is_refused(checkpoints, make_config):
    for path in checkpoints.iterdir():
        (path / "state.json").write_bytes(b"[]")
    with pytest.raises(UserError, match=r"no checkpoint in --model_dir is intact: .* has another sha256"):
        check_continues(make_config())


def test_a_backup_of_an_earlier_version_is_refused(tmp_path, make_config):
    (tmp_path / "run" / "backup").mkdir(parents=True)
    with pytest.raises(UserError, match="holds a backup of tfpar 0.1, which cannot be continued"):
        check_continues(make_config())


def test_a_run_is_finished_when_nothing_is_missing(checkpoints, make_config):
    config = make_config()
    assert read_finished(config) is None
    write_result(config, RESULT)  # after the evaluation
    assert read_finished(config) is None
    assert read_finished(make_config(export=())) == RESULT
    result = export(config)
    assert read_finished(config) == result
    assert read_finished(make_config(export=("float32", "int8"))) is None
    assert read_finished(make_config(epochs=5)) is None


def test_a_changed_export_or_a_lost_checkpoint_is_no_finished_run(tmp_path, checkpoints, make_config):
    config = make_config()
    export(config)
    (tmp_path / "export" / "model.float32.tflite").write_bytes(b"other")
    assert read_finished(config) is None
    result = export(config)
    assert read_finished(config) == result
    shutil.rmtree(checkpoints / checkpoint_name(80, 4))
    assert read_finished(config) is None
