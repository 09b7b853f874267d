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
FAST = ["docs/distributed.md", "docs/faq.md", "docs/migration.md", "docs/new_cell.md"]
SLOW = [name for name in WITH_CODE if name not in FAST]  # they compile, train and convert longer


def run_pages(names, directory):
    """Run pages in one process, in a directory with the stored models as `exports`; return errors by page."""
    (directory / "exports").symlink_to(ROOT / "saved_models")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"}
    command = [sys.executable, str(SUPPORT / "run_page_blocks.py"), *names]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    return run_pages(FAST, tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def slow_errors(tmp_path_factory):
    return run_pages(SLOW, tmp_path_factory.mktemp("slow_pages"))


def test_pages_have_code():
    assert {"README.md", "docs/export.md", "docs/tutorial.md", *FAST} <= set(WITH_CODE)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FAST)
def test_blocks_run(errors, name):
    assert errors[name] is None, errors[name]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SLOW)
def test_slow_blocks_run(slow_errors, name):
    assert slow_errors[name] is None, slow_errors[name]
