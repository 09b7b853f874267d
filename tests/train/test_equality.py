"""`fit` on N replicas equals that on one device: weights, slots, histories and predictions, for all options.

`tests/support/equality_cases.py` has the cases: twenty steps of an LSTM each. A case that fails or hangs cannot fail
others, and takes three minutes at most.
"""

import concurrent.futures
from pathlib import Path

import numpy as np
import pytest
from equality_cases import SYNCHRONIZED
from isolated import TWO_WORKERS, case_names, environments_of, run_cases

SCRIPT = Path(__file__).parents[1] / "support" / "equality_cases.py"
TIMEOUT_S = 180
SETTINGS = ("one", "mirrored4", *TWO_WORKERS)
BASELINE = ("one", "graph")

pytestmark = pytest.mark.timeout(1200)  # the first test waits for those that run before it; each case has its own limit


# All cases on two replicas without XLA, and on each other setting those that use what only it has. The rest is slow:
# two replicas run the same code as four, and workers without XLA that with it except for the sums.
ROWS = [("mirrored2", "graph"), *((setting, "xla") for setting in SETTINGS)]
MECHANISMS = {
    "one": ("adam", "accumulation"),
    "mirrored4": ("loss_scaling", "uneven_shards"),
    "multiworker2": ("adam", "rows_of_a_table"),
    "grpc2": ("rows_of_a_table",),
}


def _row(setting, way, name):
    is_fast = way == "graph" or name in MECHANISMS[setting]
    return pytest.param(
        setting, way, name, id="-".join([setting, way, name]), marks=() if is_fast else pytest.mark.slow
    )


# Workers that add up by gRPC differ from those with shared memory in the sums alone.
TABLE = [
    _row(*row, name) for row in ROWS for name in (MECHANISMS["grpc2"] if row[0] == "grpc2" else case_names(SCRIPT))
]


@pytest.fixture(scope="module")
def results(request):
    """Return a function (setting, way, case) -> output of each process; only selected cases are run."""
    wanted = {}
    for item in request.session.items:
        if item.path == request.path and hasattr(item, "callspec") and "case" in item.callspec.params:
            params = item.callspec.params
            wanted.setdefault((params["setting"], params["way"]), []).append(params["case"])
    every = dict.fromkeys(name for names in wanted.values() for name in names)
    # The longest first, for two at a time.
    rows = sorted(wanted, key=lambda row: (row[0] != "mirrored4", row[1] != "xla"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = {row: pool.submit(_run, *row, names) for row, names in [(BASELINE, list(every))]}
        futures |= {row: pool.submit(_run, *row, wanted[row]) for row in rows}
        yield lambda setting, way, case: futures[setting, way].result()[case]


def _run(setting, way, names):
    # Results are compared, not speed; compilation takes the time.
    fast = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    return run_cases(
        [str(SCRIPT), setting, way],
        names,
        lambda: [{**e, **fast} for e in environments_of(setting)],
        TIMEOUT_S,
    )


@pytest.mark.parametrize("setting, way, case", TABLE)
def test_equals_one_device(results, setting, way, case):
    (expected,) = results(*BASELINE, case)
    assert "error" not in expected, expected["error"]
    assert expected["moved"] > 1e-2, "the weights have not changed, so nothing was compared"
    processes = results(setting, way, case)
    assert len(processes) == (2 if setting in TWO_WORKERS else 1)
    for result in processes:
        assert "error" not in result, result["error"]
        assert result["xla"] == (way == "xla" and case not in SYNCHRONIZED)
        for name in ("weights", "slots", "history", "batch_logs", "predictions"):
            _assert_equal(result[name], expected[name], name)
        assert result["history"] == processes[0]["history"], "workers saw different histories"


def _assert_equal(result, expected, name):
    """Compare to 1e-5 of the largest number in each array, or to 2e-7.

    A bias may stay small because its gradients cancel, while each of them is rounded to float32's 1.2e-7.
    """
    if isinstance(expected, dict):
        assert result.keys() == expected.keys()
        result, expected = ([values[key] for key in expected] for values in (result, expected))
    assert len(result) == len(expected)
    for actual, reference in zip(result, expected, strict=True):
        reference = np.asarray(reference, "float64")
        finite = reference[np.isfinite(reference)]
        tolerance = max(2e-7, 1e-5 * np.abs(finite).max(initial=0))
        np.testing.assert_allclose(actual, reference, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("setting, way, case", [("mirrored4", "xla", "loss_scaling")])
def test_an_infinite_gradient_on_one_replica_skips_the_step_on_all(results, setting, way, case):
    """Two of ten batches overflow, in each of two epochs."""
    (result,) = results(setting, way, case)
    outer_iterations, outer_rate, step_counter, dynamic_scale, iterations, rate = result["slots"]
    assert (dynamic_scale, iterations) == (2.0 ** (8 - 4), 20 - 4)
    assert all(np.isfinite(np.asarray(weight)).all() for weight in result["weights"])
    assert np.isnan(result["history"]["loss"]).all()
