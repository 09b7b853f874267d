"""Each recipe trains the same weights in two processes as in one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
FLAGS = {
    "sentiment": [],
    "translation": ["--precision", "mixed_bfloat16"],
    "image_classification": ["--model", "row_lstm"],
    "faces": [],
    "speech": ["--model", "lstm"],
}


@pytest.mark.parametrize("recipe", FLAGS)
def test_two_workers_train_the_same_weights_as_one(run_recipe, recipe):
    flags = ["--smoke", "--noxla", "--export", "", *FLAGS[recipe]]
    one = run_recipe(recipe, *flags).result
    launch = [sys.executable, "-m", "tfpar", "launch", "--workers", "2", "--", sys.executable]
    run = subprocess.run(
        [*launch, RECIPES / f"{recipe}.py", *flags],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=run_recipe.directory,
    )
    assert run.returncode == 0, run.stderr
    two = json.loads(run.stdout.splitlines()[-1])
    assert (two["strategy"], two["replicas"]) == ("multiworker", 2)
    assert two["weights_abs_sum"] == pytest.approx(one["weights_abs_sum"], rel=1e-4)
