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
