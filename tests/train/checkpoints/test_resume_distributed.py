"""Resumed training on several replicas and workers: see `tests/support/resume_cases.py`."""

from pathlib import Path

import pytest
from isolated import environments_of, run_cases

SCRIPT = Path(__file__).parents[2] / "support" / "resume_cases.py"
CASES = ["some_steps", "several_steps_per_execution", "loss_scaling", "skipped_steps"]


def run(setting, names, directory, timeout_s=120):
    command = [str(SCRIPT), setting, str(directory)]
    results = run_cases(command, names, lambda: environments_of(setting), timeout_s)
    for name, processes in results.items():
        for process in processes:
            assert "error" not in process, f"{name}: {process['error']}"
    return results


def test_two_replicas_resume(tmp_path):
    run("mirrored2", ["some_steps"], tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("setting", ["mirrored2", "multiworker2", "grpc2"])
def test_all_cases_in_each_setting(tmp_path, setting):
    results = run(setting, CASES, tmp_path, timeout_s=300)
    assert all(process == {"skipped": 2, "finite": True} for process in results["skipped_steps"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("setting", ["one", "mirrored2", "multiworker2"])
def test_every_one_of_twenty_steps(tmp_path, setting):
    names = ["twenty_steps", "twenty_steps_compiled"] if setting == "one" else ["twenty_steps"]
    run(setting, names, tmp_path, timeout_s=600)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("before", "after"), [("one", "mirrored2"), ("mirrored2", "one"), ("one", "multiworker2"), ("multiworker2", "one")]
)
def test_a_run_moves_to_another_number_of_replicas(tmp_path, before, after):
    whole = run("one", ["whole_weights"], tmp_path)["whole_weights"][0]["weights"]
    assert run(before, ["weights_after_resume"], tmp_path)["weights_after_resume"][0] == {}
    for process in run(after, ["weights_after_resume"], tmp_path)["weights_after_resume"]:
        assert process["weights"] == pytest.approx(whole, rel=1e-5)
