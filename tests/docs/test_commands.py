"""Every command of the README and of the documentation is accepted by its parser; the cheap ones are run."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PAGES, ROOT, commands, name_of, shell_lines

SUPPORT = Path(__file__).parents[1] / "support"
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}", "TF_CPP_MIN_LOG_LEVEL": "3"}


def parse_errors(argument_lists):
    """Return None or a message for each command."""
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "parse_commands.py")],
        cwd=ROOT,
        env=ENVIRONMENT,
        input=json.dumps(argument_lists),
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_commands_are_accepted():
    found = {" ".join(arguments): arguments for page in PAGES for arguments in commands(page)}
    assert len(found) > 30
    errors = dict(zip(found, parse_errors(list(found.values())), strict=True))
    assert {command: error for command, error in errors.items() if error} == {}


def test_wrong_commands_are_found():
    wrong = [
        ["tfpar", "verify", "exports/x", "--public_kee", "a"],
        ["tfpar", "launch", "--workers", "2", "--", "python", "recipes/sentiment.py", "--cel", "gru"],
        ["tfpar", "unknown"],
        ["python", "recipes/sentiment.py", "--cell", "transformer"],
        ["python", "recipes/sentiment.py", "reviews.csv"],
    ]
    assert all(parse_errors(wrong))


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    directory = tmp_path_factory.mktemp("commands")
    shutil.copytree(ROOT / "saved_models" / "sentiment", directory / "exports" / "sentiment")
    return directory


def run(line, directory):
    arguments = shlex.split(line, comments=True)
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)


def test_predict_and_verify_of_the_readme(exports):
    lines = [shlex.join(arguments) for arguments in commands(ROOT / "README.md") if "exports/sentiment" in arguments]
    assert len(lines) == 2
    predicted, verified = (run(line, exports) for line in lines)
    assert predicted.returncode == verified.returncode == 0, predicted.stderr + verified.stderr
    assert json.loads(predicted.stdout)["predictions"][0]["label"] == "fresh"


def test_sealing_page_from_top_to_bottom(exports):
    pytest.importorskip("cryptography")
    lines = shell_lines(ROOT / "docs" / "sealing.md")
    assert len(lines) == 10
    for line in lines:
        done = run(line, exports)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_info(exports):
    assert "tensorflow" in run("tfpar info", exports).stdout.lower()


@pytest.mark.slow
def test_smoke_run_of_the_readme(exports):
    command = [sys.executable, str(ROOT / "recipes" / "sentiment.py"), "--smoke"]
    done = subprocess.run(command, cwd=exports, env=ENVIRONMENT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["recipe"] == "sentiment"


@pytest.mark.slow
def test_tutorial_script_on_two_workers(tmp_path):
    (script,) = re.findall(r"<!-- not run -->\n```python\n(.*?)```", (ROOT / "docs/tutorial.md").read_text(), re.S)
    (tmp_path / "train.py").write_text(script)
    launch = [sys.executable, "-m", "tfpar", "launch", "--workers", "2", "--", sys.executable, "train.py"]
    done = subprocess.run(launch, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    result = ast.literal_eval(done.stdout.splitlines()[-1])
    assert result["replicas"] == 2 and 0 <= result["accuracy"] <= 1 and (tmp_path / "model.keras").exists()


def test_names_of_pages():
    assert {name_of(page) for page in PAGES} >= {"README.md", "CONTRIBUTING.md", "docs/api.md", "docs/recipes/faces.md"}
