"""`tfpar bench sequence`: no time is printed of workers that differ from one process."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tfpar.bench import report, sequence
from tfpar.bench.sequence import CASES, SequenceCase

SMALL = SequenceCase("min_gru", 2, 7, 3)


def test_names_of_cases_can_be_read_back():
    assert [str(SequenceCase.parse(name)) for name in CASES] == list(CASES)
    assert {"min_gru B1 T1024 H64", "lstm B8 T65536 H64"} <= set(CASES)
    with pytest.raises(ValueError, match="must be the output of `str`; got 'min_gru'"):
        SequenceCase.parse("min_gru")


def test_differences_are_relative_to_the_largest_number_of_each_array():
    expected = {"losses": np.array([2.0, 1.0]), "kernel": np.array([[1e-3, 2e-3]])}
    assert sequence.compare(expected, expected) == 0
    actual = {"losses": np.array([2.0, 1.0 + 2e-5]), "kernel": np.array([[1e-3, 2e-3 + 1e-7]])}
    assert sequence.compare(expected, actual) == pytest.approx(5e-5)


@pytest.mark.parametrize("error, is_refused", [(1e-6, False), (1e-4, True), (np.nan, True)])
def test_workers_that_differ_from_one_process_are_refused(monkeypatch, error, is_refused):
    def run(name, case, path, workers=0):
        if name == "reference":
            np.savez(path, losses=np.ones(3))
            return
        for index in range(workers):
            np.savez(path / f"{index}.npz", losses=np.ones(3) + error * index)
            result = {"seconds": 1.0 + index, "memory_bytes": 10 - index, "exchanged_bytes": 5}
            (path / f"{index}.json").write_text(json.dumps(result))

    monkeypatch.setattr(sequence, "_run_python", run)
    result = sequence.measure_workers(SMALL)
    if is_refused:
        assert list(result) == ["refused"] and result["refused"].startswith("losses or weights differ by ")
    else:
        assert (result["seconds"], result["memory_bytes"], result["exchanged_bytes"]) == (2.0, 10, 5)


def test_the_table_has_exchanged_bytes():
    row = {"case": CASES[0], "seconds": 1.0, "ratio": {"one_process": 1.7}, "exchanged_bytes": 12_345}
    assert f"| {CASES[0]} | 12,345 | 1,000 | 1.70 |" in report.table(
        {"machine": {"processor": "Abacus", "cores": 2}, "rows": [row]}
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_workers_are_compared_and_timed():
    command = [sys.executable, "-m", "tfpar.bench.sequence", "tfpar", str(SMALL)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["seconds"] > 0 and result["largest_difference"] < sequence.TOLERANCE
    states = 2 * 2 * SMALL.batch * SMALL.units * 4  # two states of each row, forward and backward, float32
    assert states < result["exchanged_bytes"] < 4000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_worker_has_the_cores_of_one():
    code = (
        "import os; from tfpar.bench import sequence; sequence._use_cores_of_one_worker();"
        "import tensorflow as tf; print(len(os.sched_getaffinity(0)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert int(done.stdout) == max(1, len(os.sched_getaffinity(0)) // 2)
