"""Cases in separate processes: one that fails is reported by its name, and later ones still run."""

import json
import os
import time

import isolated
import pytest
from isolated import cluster_environments, free_ports, run_cases

pytestmark = pytest.mark.timeout(60)

SCRIPT = """
import json, os, sys, time
for name in sys.argv[1:]:
    if name == "raises":
        raise RuntimeError("these words")
    if name == "exits":
        os._exit(3)
    if name == "hangs" and os.environ["INDEX"] == "0":
        time.sleep(99)
    if name == "chatters":
        print("progress: 50 %")
    if name == "speaks_last":
        print(json.dumps({"error": "in its own words"}), flush=True)
        sys.exit(1)
    print(json.dumps({"case": name, "process": os.getpid(), "index": os.environ["INDEX"]}), flush=True)
"""
LIMIT_S = 1.0


@pytest.fixture
def outcomes(monkeypatch):
    """Function of names of cases and a number of processes: the results."""
    monkeypatch.setattr(isolated, "START_S", 2.0)

    def run(names, processes=1):
        environments = [{"INDEX": str(index)} for index in range(processes)]
        return run_cases(["-c", SCRIPT], names, lambda: environments, LIMIT_S)

    return run


def test_cases_share_a_process(outcomes):
    results = outcomes(["a", "b", "c"])
    assert list(results) == ["a", "b", "c"]
    assert [result["case"] for (result,) in results.values()] == ["a", "b", "c"]
    assert len({result["process"] for (result,) in results.values()}) == 1


def test_each_process_of_a_cluster_reports(outcomes):
    results = outcomes(["a", "b"], processes=3)
    assert [[result["index"] for result in each] for each in results.values()] == [["0", "1", "2"]] * 2


@pytest.mark.parametrize(
    "case, said",
    [
        ("raises", "RuntimeError: these words"),
        ("exits", "ended"),
        ("speaks_last", "in its own words"),
        ("chatters", "progress: 50 %"),
    ],
)
def test_a_case_that_fails(outcomes, case, said):
    results = outcomes(["a", case, "b", "c"])
    assert list(results) == ["a", case, "b", "c"]
    assert said in results[case][0]["error"]
    assert all("error" not in results[name][0] for name in "abc")
    assert results["b"][0]["process"] == results["c"][0]["process"] != results["a"][0]["process"]


@pytest.mark.parametrize("case", ["raises", "exits"])
def test_the_last_case_ends_its_process(outcomes, case):
    results = outcomes(["a", case])
    assert "error" in results[case][0] and "error" not in results["a"][0]


@pytest.mark.parametrize("names", [["hangs", "a"], ["a", "hangs", "b"], ["a", "hangs"]])
def test_a_case_that_hangs(outcomes, names):
    before = time.monotonic()
    results = outcomes(names)
    assert time.monotonic() - before < 10
    assert "took longer than" in results["hangs"][0]["error"]
    assert all("error" not in results[name][0] for name in names if name != "hangs")


def test_one_of_two_processes_hangs(outcomes):
    results = outcomes(["a", "hangs", "b"], processes=2)
    assert "error" in results["hangs"][0] and results["hangs"][1]["case"] == "hangs"
    assert [result["index"] for result in results["b"]] == ["0", "1"]


def test_all_processes_are_ended(outcomes):
    """A process that hangs is ended; one that is idle, too."""
    results = outcomes(["a", "hangs", "b"])
    for name in "ab":
        with pytest.raises(ProcessLookupError):
            os.kill(results[name][0]["process"], 0)


def test_ports_are_different_and_free():
    assert len(set(free_ports(8))) == 8


def test_workers_of_a_cluster_know_each_other_and_themselves():
    environments = cluster_environments(3)
    configs = [json.loads(environment["TF_CONFIG"]) for environment in environments]
    assert [config["task"]["index"] for config in configs] == [0, 1, 2]
    (cluster,) = {json.dumps(config["cluster"]) for config in configs}
    assert len(set(json.loads(cluster)["worker"])) == 3
