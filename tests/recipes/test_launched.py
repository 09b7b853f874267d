"""Each recipe trains the same weights in two processes as in one, and one of them exports; a stopped run goes on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfpar.checkpoint_files import list_checkpoints, read_newest

RECIPES = Path(__file__).parents[2] / "recipes"
LAUNCH = [sys.executable, "-m", "tfpar", "launch", "--workers", "2", "--", sys.executable]
FLAGS = {
    "sentiment": [],
    "translation": ["--precision", "mixed_bfloat16"],
    "image_classification": ["--model", "row_lstm", "--views"],
    "faces": [],
    "speech": ["--model", "lstm"],
    "time_series": ["--task", "forecast", "--model", "deepar"],
}


@pytest.mark.parametrize(
    "recipe", ["sentiment", *(pytest.param(name, marks=pytest.mark.slow) for name in list(FLAGS)[1:])]
)
def test_two_workers_train_the_same_weights_as_one(run_recipe, recipe):
    flags = ["--smoke", "--noxla", *FLAGS[recipe]]
    one = run_recipe(recipe, *flags).result
    output = ["--model_dir", "kept", "--export_dir", "left", "--export", "float32"]
    run = subprocess.run(
        [*LAUNCH, RECIPES / f"{recipe}.py", *flags, *output],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=run_recipe.directory,
    )
    assert run.returncode == 0, run.stderr
    two = json.loads(run.stdout.splitlines()[-1])
    assert (two["strategy"], two["replicas"]) == ("multiworker", 2)
    assert two["weights_abs_sum"] == pytest.approx(one["weights_abs_sum"], rel=1e-4)
    assert [export["format"] for export in two["exports"]] == ["float32"]
    assert (run_recipe.directory / "left" / "model.float32.tflite").exists()
    assert (run_recipe.directory / "kept" / "history.csv").read_text().count("\n") == 2


@pytest.mark.slow
def test_a_launch_that_was_stopped_goes_on(tmp_path):
    flags = ["--smoke", "--noxla", "--steps", "0", "--epochs", "40", "--model_dir", "run"]
    command, pipes = [*LAUNCH, RECIPES / "sentiment.py", *flags], {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    checkpoints = tmp_path / "run" / "checkpoints"
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as stopped:
        deadline = time.monotonic() + 120
        while not list_checkpoints(checkpoints) and time.monotonic() < deadline:
            time.sleep(0.02)
        stopped.send_signal(signal.SIGINT)
        assert stopped.communicate(timeout=30)[0] == b""
    assert stopped.returncode == 3  # stopped after a checkpoint
    assert 0 < read_newest(checkpoints)[0].facts["epoch"] < 40
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["epochs"] == 40
