"""All competitors of `tfpar bench export` have the same outputs, and are timed."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from tfpar.bench import export

SMALL = """
import json, sys
from tfpar.bench import export
export.TIME, export.FEATURES, export.RUNS = 4, 3, 5
print(json.dumps(export.COMPETITORS[sys.argv[1]](True, 2, "int8", "phone")))
"""


@pytest.mark.parametrize("competitor", ["tfpar", *export.PEERS])
def test_inference_is_timed(competitor):
    if importlib.util.find_spec(competitor) is None:
        pytest.skip(f"needs a peer: pip install {competitor} onnx")
    run = subprocess.run([sys.executable, "-c", SMALL, competitor], capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout.splitlines()[-1])
    assert 0 < figures["seconds"] < 1 and ("form" in figures) == (competitor == "tfpar")


@pytest.mark.parametrize("bidirectional", [False, True])
def test_onnx_runtime_has_our_network(bidirectional, monkeypatch):
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("needs a peer: pip install onnxruntime onnx")
    monkeypatch.setattr(export, "TIME", 4)
    rows = export.rows()[:1]
    answer = export._model(bidirectional, 5, ours=True)(rows)
    (found,) = export.onnx_session(bidirectional, 5).run(None, {"x": rows})
    np.testing.assert_allclose(found, answer, atol=1e-5)


def test_cases_name_network_units_format_and_target():
    assert [export._parse_case(case) for case in export.CASES] == [
        (bidirectional, units, *name)
        for bidirectional, units in ((True, 128), (False, 256))
        for name in (("float32", "desktop"), ("dynamic", "desktop"), ("int8", "desktop"), ("int8", "phone"))
    ]
