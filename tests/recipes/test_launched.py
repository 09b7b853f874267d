"""Each recipe trains the same weights in two processes as in one, and one of them exports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
FLAGS = {
    "sentiment": [],
    "translation": ["--precision", "mixed_bfloat16"],
    "image_classification": ["--model", "row_lstm", "--views"],
    "faces": [],
    "speech": ["--model", "lstm"],
}


@pytest.mark.parametrize("recipe", FLAGS)
def test_two_workers_train_the_same_weights_as_one(run_recipe, recipe):
    flags = ["--smoke", "--noxla", *FLAGS[recipe]]
    one = run_recipe(recipe, *flags).result
    launch = [sys.executable, "-m", "tfpar", "launch", "--workers", "2", "--", sys.executable]
    run = subprocess.run(
        [*launch, RECIPES / f"{recipe}.py", *flags, "--export_dir", "left", "--export", "float32"],
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
