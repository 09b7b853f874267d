"""The table of crossovers: measured, stored, and read by `evaluation="auto"`."""

import json

import pytest
import tensorflow as tf

from tfpar import layers
from tfpar.bench.crossovers import LENGTHS, PARALLEL, first_faster, measure_crossovers, store_crossovers
from tfpar.errors import UserError
from tfpar.layers.recurrent import crossovers, policy
from tfpar.layers.recurrent.cells import CELLS
from tfpar.layers.recurrent.crossovers import TABLE, Crossover, find_crossover


def time_by_length(crossover):
    """Make a `time_cases` whose parallel evaluations are faster from a length on."""

    def time_cases(cases):
        loop, parallel = cases
        is_faster = int(parallel.split(" T")[1].split()[0]) >= crossover
        return {loop: [{"seconds": 1.0}] * 3, parallel: [{"seconds": 0.5 if is_faster else 2.0}] * 3}

    return time_cases


def test_the_table_of_the_package():
    table = json.loads(TABLE.read_text())
    for device in ("CPU", "GPU", "TPU"):
        assert table[device]["origin"]
        for cell, steps in table[device]["steps"].items():
            assert (cell in PARALLEL or cell == "other") and (steps is None or steps >= 0)
            assert find_crossover(cell, device) == Crossover(steps, device)
    assert all(PARALLEL[cell] in CELLS[cell].layer.EVALUATIONS for cell in PARALLEL)
    assert find_crossover("para_gru", "CPU").steps is None  # loops of XLA for CPUs take less time


@pytest.mark.parametrize("crossover, expected", [(0, 64), (1024, 1024), (4097, None)])
def test_the_crossover_is_the_first_length_from_which_all_are_faster(crossover, expected):
    (entry,) = measure_crossovers(time_by_length(crossover), "para_gru")
    assert entry["steps"] == {"para_gru": expected} and entry["machine"]["processor"]
    assert list(entry["seconds"]["para_gru"]) == [str(time) for time in LENGTHS]
    assert first_faster({"64": [1.0, 0.5], "256": [1.0, 2.0]}) is None


def test_a_stored_table_replaces_what_was_measured(tmp_path):
    path = tmp_path / "table.json"
    with tf.device("/CPU:0"):
        store_crossovers(next(measure_crossovers(time_by_length(256), "para_gru")), path)
        table = store_crossovers(next(measure_crossovers(time_by_length(64), "min_gru")), path)
    assert table == json.loads(path.read_text())
    assert table["CPU"]["steps"] == {**json.loads(TABLE.read_text())["CPU"]["steps"], "para_gru": 256, "min_gru": 64}
    assert set(table["CPU"]["seconds"]) == {"para_gru", "min_gru"}
    assert table["GPU"] == json.loads(TABLE.read_text())["GPU"]


def test_a_layer_that_differs_from_its_equations_is_not_measured():
    with pytest.raises(UserError, match="para_gru .* cannot be timed, since the output differs"):
        next(
            measure_crossovers(lambda cases: {case: [{"refused": "the output differs"}] for case in cases}, "para_gru")
        )


def test_each_cell_is_written_when_it_is_measured(tmp_path, monkeypatch):
    from tfpar.cli import bench

    def fail_at_the_second_cell(commands, rounds, timeout_s):
        if any("min_lstm" in case for case in commands):
            raise UserError("this cell is too slow")
        return {case: [{"seconds": 1.0}] for case in commands}

    monkeypatch.setattr(bench, "run_interleaved", fail_at_the_second_cell)
    path = tmp_path / "table.json"
    with pytest.raises(UserError, match="too slow"):
        bench.main(["scan", "--rounds", "1", "--cases", "min_", "--store_crossovers", str(path)])
    device = max(json.loads(path.read_text()).items(), key=lambda item: len(item[1].get("seconds", ())))[1]
    assert set(device["seconds"]) == {"min_gru"}


def test_the_command_refuses_other_suites_cells_and_files(tmp_path):
    from tfpar.cli import bench

    path = tmp_path / "table.json"
    for arguments, message in [
        (["recurrent"], "--store_crossovers is for the suite scan; got recurrent"),
        (["scan", "--cases", "none"], "--cases must be contained in one of min_gru"),
        (["scan", "--rounds", "0"], "--rounds must be 1 or more; got 0"),
    ]:
        with pytest.raises(UserError, match=message):
            bench.main([*arguments, "--store_crossovers", str(path)])
    assert not path.exists()
    path.write_text('{"CPU": {}}')
    with pytest.raises(UserError, match="cannot be read as a table of crossovers"):
        bench.main(["scan", "--store_crossovers", str(path)])


def test_auto_chooses_by_the_table(monkeypatch):
    layer = layers.ParaGRU(3)
    with tf.device("/GPU:0"):
        assert (
            "by the newton kernel, since on a GPU a loop takes less time for fewer than 128 steps; " in layer.explain()
        )
        layer.build((None, 100, 3))
        assert layer.explain().endswith(
            "diagonal_loop kernel, since on a GPU a loop takes less time for fewer than 128 steps"
        )
    with tf.device("/CPU:0"):
        assert layer.explain().endswith("since on a CPU a loop takes less time at any number of steps")
        monkeypatch.setattr(policy, "find_crossover", lambda cell, device: Crossover(100, device))
        assert "newton kernel" in layer.explain()
    assert crossovers.Crossover(0, "TPU").is_reached(None) and not Crossover(None, "CPU").is_reached(10**6)
