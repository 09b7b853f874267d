"""A run of recipes/sentiment.py that was killed goes on where it was."""

import csv
import signal

import pytest

FLAGS = "--smoke --noxla --epochs 2 --steps 0 --model_dir kept".split()


def history(sentiment):
    with open(sentiment.directory / "kept" / "history.csv") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_killed_run_ends_like_one_that_was_not(sentiment):
    killed = sentiment(*FLAGS, kill_at_epoch=1)
    assert killed.returncode == -signal.SIGKILL and killed.stdout == ""
    assert [row["epoch"] for row in history(sentiment)] == ["0"]

    resumed = sentiment(*FLAGS).result
    assert resumed["epochs"] == 2
    assert [row["epoch"] for row in history(sentiment)] == ["0", "1"]

    whole = sentiment(*FLAGS[:-2]).result
    assert whole["epochs"] == 2
    assert resumed["weights_abs_sum"] == pytest.approx(whole["weights_abs_sum"], rel=1e-7)
    assert resumed["metrics"]["loss"] == pytest.approx(whole["metrics"]["loss"], rel=1e-4)


@pytest.mark.slow
def test_a_run_is_done_once(sentiment):
    """Killed within an epoch, finished, exported later, continued by more epochs, and refused with other flags."""
    flags = [*FLAGS, "--checkpoint_every", "1steps", "--export_dir", "out"]
    assert sentiment(*flags, "--export", "", kill_at_epoch=1).returncode == -signal.SIGKILL
    refused = sentiment(*flags, "--batch_size", "16")
    assert refused.error.startswith("error: --batch_size was 8 in this run; got 16. Use another --model_dir or ")

    first = sentiment(*flags, "--export", "").result
    again = sentiment(*flags, "--export", "")
    assert again.result == first and "is finished, and nothing is missing" in again.stderr
    exported = sentiment(*flags, "--export", "float32").result
    assert exported["weights_abs_sum"] == first["weights_abs_sum"] and exported["metrics"] == first["metrics"]
    assert exported["train_seconds"] == pytest.approx(first["train_seconds"], abs=2)
    assert [report["format"] for report in exported["exports"]] == ["float32"]
    assert sentiment(*flags, "--export", "float32").result == exported

    more = sentiment(*[flag if flag != "2" else "3" for flag in flags], "--export", "").result
    assert more["epochs"] == 3
    assert [row["epoch"] for row in history(sentiment)] == ["0", "1", "2"]
    restarted = sentiment(*flags, "--export", "", "--restart").result
    assert restarted["weights_abs_sum"] == first["weights_abs_sum"]
    assert [row["epoch"] for row in history(sentiment)] == ["0", "1"]
