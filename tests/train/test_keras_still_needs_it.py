"""Why `Model` overrides what it does: `keras.Model` fails there. When one of these tests fails, an override can go."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(150)

SCRIPT = Path(__file__).parents[1] / "support" / "stock_keras.py"


@pytest.fixture(scope="module")
def stock():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=140)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_plain_training_is_right(stock):
    assert stock["plain"] < 1e-5


def test_clipping_comes_before_the_all_reduce(stock):
    assert stock["global_clipnorm"] > 1e-3


def test_xla_around_the_strategy_fails(stock):
    assert stock["jit_compile"] is not None and "device" in stock["jit_compile"]


def test_auto_means_no_xla(stock):
    assert stock["auto"] is False


@pytest.mark.parametrize("option", ["accumulation", "ema_overwrites"])
def test_conditional_updates_fail(stock, option):
    assert stock[option] is not None and "merge_call" in stock[option]
