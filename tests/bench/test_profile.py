"""A profile accounts for a step: each kernel is of one kind, and ends with its last thread."""

import json
import subprocess
import sys

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tfpar.bench.cases import Case
from tfpar.bench.profile import Kernel, read_kernels, split_step_time

CASE = Case("lstm", 2, 3, 5, 4)
LOOP_FLOPS, OTHER_FLOPS = 2 * 2 * (2 * 3) * 4 * 4**2, 2 * (2 * 3) * 16 * (2 * 5 + 4)


def test_kinds_of_kernels():
    matmuls = [Kernel("a", "MatMul.1", 0.25)] * 3 + [Kernel("a", "dot.7", 0.5), Kernel("a", "ynn_fusion", 0.5)]
    # What two programs call by the same name is not the same.
    others = [Kernel("a", "copy.1", 0.125)] * 3 + [Kernel("b", "copy.1", 2.0)]
    lane, peak = [*matmuls, *others, Kernel("a", "while.9", 0.5), Kernel("a", "while.10", 0.75)], 100.0
    spent = split_step_time(lane + lane, CASE, lanes=2, steps=1, seconds=4.0, peak=peak)
    assert CASE.loop_flops == LOOP_FLOPS and CASE.flops == LOOP_FLOPS + OTHER_FLOPS
    assert spent == {
        "matmuls in loops": {"seconds": 0.75, "peak_fraction": pytest.approx(LOOP_FLOPS / 0.75 / peak)},
        "other kernels in loops": {"seconds": 0.375},
        "between kernels in loops": {"seconds": 0.125},
        "outside loops": {"seconds": 2.75, "peak_fraction": pytest.approx(OTHER_FLOPS / 2.75 / peak)},
    }


def test_a_kernel_ends_with_its_last_thread(tmp_path):
    space = xplane_pb2.XSpace()
    plane = space.planes.add()
    names = ("hlo_op", "hlo_module", "_p", "_c")
    for number, name in enumerate(names):
        plane.stat_metadata[number].name = name

    def add(thread, start_us, duration_us, **stats):
        event = plane.lines[thread].events.add(offset_ps=start_us * 10**6, duration_ps=duration_us * 10**6)
        for name, value in stats.items():
            kind = "str_value" if isinstance(value, str) else "uint64_value"
            event.stats.add(metadata_id=names.index(name), **{kind: value})

    for _ in range(2):
        plane.lines.add(timestamp_ns=1000)
    add(0, 0, 100, hlo_op="while.3", hlo_module="a", _p=1)
    add(0, 10, 5, hlo_op="MatMul.1", hlo_module="a", _p=2)
    add(1, 40, 1, _c=2)
    add(0, 41, 7, hlo_op="copy.2", hlo_module="a", _p=3)
    (tmp_path / "vm.xplane.pb").write_bytes(space.SerializeToString())
    kernels = read_kernels(tmp_path)
    assert [kernel[:2] for kernel in kernels] == [("a", "while.3"), ("a", "MatMul.1"), ("a", "copy.2")]
    assert [kernel.seconds for kernel in kernels] == pytest.approx([100e-6, 30e-6, 7e-6])


def test_a_step_is_accounted_for():
    command = [sys.executable, "-m", "tfpar.bench.profile", "tfpar", "lstm B2 T40 I32 H128"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout.splitlines()[-1])
    spent = {name: row["seconds"] for name, row in figures["parts"].items()}
    assert all(seconds > 0 for seconds in spent.values())
    assert sum(spent.values()) == pytest.approx(figures["seconds"])
    rates = [figures["parts"][name]["peak_fraction"] for name in ("matmuls in loops", "outside loops")]
    assert all(0 < rate < 2 for rate in rates)
