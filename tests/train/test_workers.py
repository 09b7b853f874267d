"""Training is the same on one device, on two replicas of a process and in two processes, with callbacks and data sets.

`tests/support/worker_cases.py` has the cases: a few steps of a small model each. Cases share processes; one that fails
or hangs cannot fail others.
"""

import concurrent.futures
from pathlib import Path

import numpy as np
import pytest
from isolated import TWO_WORKERS, case_names, environments_of, run_cases

SCRIPT = Path(__file__).parents[1] / "support" / "worker_cases.py"
TIMEOUT_S = 180
# Two replicas in one process are slow here: `test_equality.py` and `test_mirrored.py` have them in the default run.
SETTINGS = (pytest.param("mirrored2", marks=pytest.mark.slow), "multiworker2")

pytestmark = pytest.mark.timeout(600)  # the first test waits for those that run before it; each case has its own limit

CASES = case_names(SCRIPT)
ALONE = ("unseeded", "stopped_alone", "killed", "suspended")  # each has processes of its own


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, request):
    """Return a function (setting, case) -> output of each process; only selected cases are run."""
    root = str(tmp_path_factory.mktemp("workers"))

    def run(setting, names):
        command = [str(SCRIPT), setting, root]
        return run_cases(command, names, lambda: environments_of(setting), TIMEOUT_S)

    items = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    selected = [item.callspec.params for item in items]
    cases = [case for case in CASES if any(params["case"] == case for params in selected)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        settings = {"multiworker2": None, "one": None} | {params.get("setting", "one"): None for params in selected}
        futures = {setting: pool.submit(run, setting, cases) for setting in settings if setting != "grpc2"}
        rows = {(params.get("setting", "multiworker2"), params["case"]) for params in selected}
        alone = {row: pool.submit(run, row[0], [row[1]]) for row in sorted(rows) if row[1] in ALONE}

        def outcome(setting, case):
            return alone.get((setting, case), futures.get(setting)).result()[case]

        yield outcome


@pytest.fixture(scope="module")
def own(outcomes):
    """Return a function (setting, case) -> results of each process that depend on the setting."""

    def of(setting, case):
        results = outcomes(setting, case)
        for result in results:
            assert "error" not in result, result["error"]
        return [result["own"] for result in results]

    return of


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_equals_one_device(outcomes, setting, case):
    (expected,) = outcomes("one", case)
    assert "error" not in expected, expected["error"]
    assert expected["same"], "nothing is compared"
    results = outcomes(setting, case)
    assert len(results) == (2 if setting == "multiworker2" else 1)
    for result in results:
        assert "error" not in result, result["error"]
        _assert_equal(result["same"], expected["same"], case)


def _assert_equal(result, expected, where):
    """Compare nests of numbers to 1e-5 of the largest number of each list."""
    if isinstance(expected, dict):
        assert result.keys() == expected.keys()
        for key in expected:
            _assert_equal(result[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list) and any(isinstance(item, list | dict) for item in expected):
        assert len(result) == len(expected), where
        for index, pair in enumerate(zip(result, expected, strict=True)):
            _assert_equal(*pair, f"{where}[{index}]")
    else:
        tolerance = 1e-5 * max(1.0, np.abs(expected).max(initial=0))
        np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance, err_msg=where)


@pytest.mark.parametrize("case", ["writing_callbacks", "validation", "bucketed"])
def test_logs_are_bitwise_equal_on_all_workers(outcomes, case):
    """A user's callback may decide by them on each worker."""
    first, second = (result["same"] for result in outcomes("multiworker2", case))
    assert first == second


@pytest.mark.parametrize("case", ["writing_callbacks"])
def test_only_the_chief_writes_and_shows_progress(own, case):
    chief, other = own("multiworker2", case)
    assert chief["files"] == ["backup", "checkpoint.weights.h5", "history.csv", "logs"]
    assert "Epoch 2/2" in chief["printed"]
    assert (other["files"], other["printed"]) == ([], "")


@pytest.mark.parametrize("setting", ["one", *SETTINGS])
@pytest.mark.parametrize("case", ["within_scope"])
def test_files_are_written_within_the_scope(own, setting, case):
    chief, *others = own(setting, case)
    checkpoints = ["checkpoint.keras", "checkpoint.weights.h5", "exported"]
    saved = ["saved.keras", "saved.weights.h5", "saved_model"]
    assert chief["files"] == ["backup", *checkpoints, "history.csv", "logs", *saved]
    assert all(other["files"] == [] for other in others)


@pytest.mark.parametrize("setting", ["one", *SETTINGS])
@pytest.mark.parametrize("case", ["within_scope"])
def test_a_strategy_is_made_once_in_a_process(own, setting, case):
    assert all(process["again"] for process in own(setting, case))


@pytest.mark.parametrize("setting", ["one", *SETTINGS])
@pytest.mark.parametrize("case", ["early_stopping"])
def test_early_stopping_restores_the_best_weights(own, setting, case):
    for process in own(setting, case):
        assert process["epochs"] == 3
        assert process["weights"] == process["best"]


@pytest.mark.parametrize("case", ["stopped_by_one_worker"])
def test_one_worker_that_stops_after_an_epoch_stops_all(own, case):
    assert [process["epochs"] for process in own("multiworker2", case)] == [2, 2]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("case", ["stopped_in_an_epoch"])
def test_all_stop_in_the_middle_of_an_epoch(own, setting, case):
    assert {process["steps"] for process in own(setting, case)} == {4}


@pytest.mark.parametrize("setting", ["one", *SETTINGS])
@pytest.mark.parametrize("case", ["resumed"])
def test_an_interrupted_run_is_resumed_from_the_chiefs_backup(own, setting, case):
    processes = own(setting, case)
    assert [process["backed_up"] for process in processes] == [True, False][: len(processes)]
    for process in processes:
        assert (process["epochs"], process["has_backup"], process["iterations"]) == (2, False, 4 * 3)
        _assert_equal(process["weights"], process["uninterrupted"], "weights")


@pytest.mark.parametrize("case", ["later_epochs"])
def test_initial_epoch_skips_epochs(own, case):
    assert [process["epochs"] for process in own("multiworker2", case)] == [[2, 3], [2, 3]]


@pytest.mark.parametrize("case", ["later_epochs"])
def test_a_callback_list_is_refused(own, case):
    for process in own("multiworker2", case):
        assert process["refusal"].startswith("`callbacks` must be a list of callbacks where several workers train")


@pytest.mark.parametrize("case", ["predicting", "predicting_three_at_once", "predicting_xla"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_worker_gets_the_predictions_of_all_rows(own, setting, case):
    assert {rows for process in own(setting, case) for rows in process["rows"]} == {7}


@pytest.mark.parametrize("case", ["rates"])
def test_learning_rates_follow_the_callbacks_on_all_workers(own, case):
    for process in own("multiworker2", case):
        assert process["rates"] == pytest.approx([0.5, 0.025, 0.0025, 0.00025])


@pytest.mark.parametrize("setting", ["one", *SETTINGS])
@pytest.mark.parametrize("case", ["bucketed"])
def test_bucketed_batches_have_each_example_once_per_epoch(own, setting, case):
    for process in own(setting, case):
        assert process["seen"] == [[1.0] * 13] * 2
        assert process["order"] == own("one", case)[0]["order"]
        half = len(process["order"]) // 2
        assert process["order"][:half] != process["order"][half:], "each epoch is shuffled differently"


@pytest.mark.parametrize("case", ["unseeded"])
def test_workers_that_shuffle_without_a_seed_are_refused(own, case):
    for process in own("multiworker2", case):
        assert process["refusal"].startswith("ValueError: The workers read different batches.")
        assert (
            "give shuffling a seed, or call keras.utils.set_random_seed(NUMBER) on every worker" in process["refusal"]
        )


@pytest.mark.parametrize("setting", TWO_WORKERS)
@pytest.mark.parametrize("case, limit_s", [("killed", 30), ("suspended", 5 + 15)])
def test_a_worker_that_is_lost_ends_the_others(outcomes, setting, case, limit_s):
    first, second = outcomes(setting, case)
    assert "the process ended" in second["error"]
    assert "error" not in first, first["error"]
    assert first["own"]["after_s"] < limit_s
    address = first["own"]["addresses"][1]
    if (setting, case) == ("grpc2", "suspended"):  # its kernel still accepts connections
        assert first["own"]["workers"] == {}
        assert "a worker took too long" in first["own"]["message"]
    else:
        assert first["own"]["workers"] == {"1": address}
        assert f"worker 1 at {address} no longer answers; start all workers again" in first["own"]["message"]


@pytest.mark.parametrize("case", ["stopped_alone"])
def test_a_worker_that_stops_alone_within_an_epoch_ends_all(own, case):
    """One worker reads its metrics, and the other takes the next step."""
    for process in own("multiworker2", case):
        assert process["message"].startswith("The workers are not at the same step.")
