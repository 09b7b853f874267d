"""Every Python block of the README and of the documentation runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PAGES, ROOT, code_blocks, name_of

SUPPORT = Path(__file__).parents[1] / "support"
WITH_CODE = [name_of(page) for page in PAGES if code_blocks(page, "python")]
SLOW = {"README.md", "docs/export.md"}  # they convert several files
FAST = [name for name in WITH_CODE if name not in SLOW]


def run_pages(names, directory):
    """Run pages in one process, in a directory with the stored models as `exports`; return errors by page."""
    (directory / "exports").symlink_to(ROOT / "saved_models")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"}
    command = [sys.executable, str(SUPPORT / "run_page_blocks.py"), *names]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    return run_pages(FAST, tmp_path_factory.mktemp("pages"))


def test_pages_have_code():
    assert len(WITH_CODE) >= 7 and set(WITH_CODE) >= SLOW


@pytest.mark.parametrize("name", FAST)
def test_blocks_run(errors, name):
    assert errors[name] is None, errors[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_slow_blocks_run(tmp_path, name):
    error = run_pages([name], tmp_path)[name]
    assert error is None, error
