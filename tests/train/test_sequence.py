"""`fit` with the time axis divided over replicas equals that on one device.

`tests/support/sequence_cases.py` has the cases. Three replicas run all of them eagerly, which needs no compilation; two
replicas and two worker processes run some of them as graphs and with XLA, and two groups of two replicas or workers
divide rows and time. `tests/layers/test_time_slices.py` tests the layers alone.
"""

from pathlib import Path

import numpy as np
import pytest
from isolated import case_names, cluster_environments, run_cases

SCRIPT = Path(__file__).parents[1] / "support" / "sequence_cases.py"
TIMEOUT_S = 240

pytestmark = pytest.mark.timeout(1800)  # the first test waits for all cases; each case has its own limit

FAST = {("sequence2", "graph"): ("min_gru",), ("sequence2", "eager"): ("lstm",)}
SLOW = {
    ("sequence3", "eager"): tuple(case_names(SCRIPT)),
    ("sequence2", "graph"): (
        "last_of_both_directions_mlstm",
        "lstm",
        "two_headed",
        "stack",
        "translator",
        "sequential",
        "summed",
    ),
    ("sequence2", "xla"): ("min_gru", "lstm", "mlstm", "stack", "one_step_gru"),
    ("mesh2x2", "eager"): ("grouped", "one_row", "min_gru_right_steps"),
    ("workers2", "graph"): ("stack", "two_headed", "one_step"),
    ("workers2", "xla"): ("min_gru", "lstm"),
    ("workers4", "graph"): ("grouped", "one_row"),
}
TABLE = [
    pytest.param(*row, case, id="-".join([*row, case]), marks=marks)
    for table, marks in ((FAST, ()), (SLOW, pytest.mark.slow))
    for row, cases in table.items()
    for case in cases
]


@pytest.fixture(scope="module")
def results(request):
    """Return a function (setting, way, case) -> output of each process; only selected cases are run."""
    wanted = {}
    for item in request.session.items:
        if item.path == request.path and "setting" in getattr(getattr(item, "callspec", None), "params", ()):
            params = item.callspec.params
            wanted.setdefault((params["setting"], params["way"]), []).append(params["case"])
    done = {row: _run(*row, names) for row, names in wanted.items()}
    return lambda setting, way, case: done[setting, way][case]


def _run(setting, way, names):
    # Results are compared, not speed; compilation takes the time.
    fast = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    workers = {"workers2": 2, "workers4": 4}.get(setting)
    environments = (lambda: cluster_environments(workers)) if workers else (lambda: [{}])
    command = [str(SCRIPT), setting, way]
    return run_cases(command, names, lambda: [{**each, **fast} for each in environments()], TIMEOUT_S)


@pytest.mark.parametrize("setting, way, case", TABLE)
def test_equals_one_device(results, setting, way, case):
    lines = results(setting, way, case)
    for line in lines:
        assert "error" not in line, line["error"]
    expected = lines[0]["one"]
    assert expected["moved"] > 1e-3, "the weights have not changed, so nothing was compared"
    for line in lines:
        for name in ("history", "evaluated", "weights", "predictions"):
            _assert_equal(line["divided"][name], expected[name], name)
        assert line["divided"]["history"] == lines[0]["divided"]["history"], "workers saw different histories"


@pytest.mark.parametrize("setting, way, case", [("sequence2", "graph", "exchanged")])
def test_exchanged_bytes_do_not_depend_on_the_number_of_steps(results, setting, way, case):
    (line,) = results(setting, way, case)
    assert "error" not in line, line["error"]
    rows, units, directions = 2, 4, 2
    forward_and_backward = 2 * directions * 2 * rows * units * 4  # two states of each row, float32
    assert line["fact"] == {"1024": forward_and_backward, "16384": forward_and_backward}


@pytest.mark.parametrize("setting, way, case", [("sequence2", "graph", "noise")])
def test_each_slice_has_random_numbers_of_its_own(results, setting, way, case):
    (line,) = results(setting, way, case)
    assert "error" not in line, line["error"]
    for name, (first, second) in line["fact"].items():
        are_equal = np.array_equal(first, second)
        assert np.ptp(first) > 0, "the layer draws nothing"
        assert are_equal == (name in ("spatial", "shared")), name


@pytest.mark.slow
@pytest.mark.parametrize("case", ["different_rows", "different_steps"])
def test_workers_that_read_different_batches_are_stopped(case):
    """Each in its own processes, since no collective works after it."""
    for line in _run("workers2", "graph", [case])[case]:
        assert line.get("fact", line).startswith("The workers read different batches."), line


def _assert_equal(result, expected, name):
    """Compare to a few units in the last place of the largest number in each array."""
    if isinstance(expected, dict):
        assert result.keys() == expected.keys()
        result, expected = ([values[key] for key in expected] for values in (result, expected))
    assert len(result) == len(expected)
    for actual, reference in zip(result, expected, strict=True):
        tolerance = max(1e-6, 2e-6 * np.abs(np.asarray(reference, "float64")).max(initial=0))
        np.testing.assert_allclose(actual, reference, rtol=0, atol=tolerance, err_msg=name)
