"""Recipes as commands: flags in, exit code, stdout and stderr out."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@dataclasses.dataclass(frozen=True)
class Run:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict:
        """The JSON object in the last line of a run that went well."""
        assert self.returncode == 0, self.stderr
        return json.loads(self.stdout.splitlines()[-1])

    @property
    def error(self) -> str:
        """The one line that a run which refused its input leaves on stderr."""
        assert self.returncode == 2, self.stderr
        assert self.stdout == ""
        (line,) = (line for line in self.stderr.splitlines() if line.startswith("error: "))
        assert self.stderr.splitlines()[-1] == line
        assert "Traceback" not in self.stderr
        return line


def run_in(directory: Path, forks, flags, kill_at_epoch=0, recipe="sentiment") -> Run:
    """Runs a recipe, or the script of a path, in `directory / "work"`."""
    outputs = {name: directory / name for name in ("stdout", "stderr")}
    request = {
        "program": str(recipe if isinstance(recipe, Path) else RECIPES / f"{recipe}.py"),
        "arguments": [str(flag) for flag in flags],
        "stdin": os.devnull,
        "cwd": str(directory / "work"),
        "kill_at_epoch": kill_at_epoch,
        **{name: str(path) for name, path in outputs.items()},
    }
    returncode = forks(request)
    return Run(returncode, *(path.read_text(encoding="utf-8") for path in outputs.values()))


@pytest.fixture
def sentiment(forks, tmp_path):
    """`sentiment(*flags)` -> Run, in a directory of its own: `sentiment.directory`."""
    work = tmp_path / "work"
    work.mkdir()

    def run(*flags, kill_at_epoch: int = 0) -> Run:
        return run_in(tmp_path, forks, flags, kill_at_epoch)

    run.directory = work
    return run


@pytest.fixture
def run_recipe(forks, tmp_path):
    """`run_recipe(name, *flags)` -> Run, in a directory of its own: `run_recipe.directory`."""
    work = tmp_path / "work"
    work.mkdir()

    def run(name: str, *flags, kill_at_epoch: int = 0) -> Run:
        return run_in(tmp_path, forks, flags, kill_at_epoch, recipe=name)

    run.directory = work
    return run


@pytest.fixture
def run_file(forks, tmp_path):
    """`run_file(program)` -> Run, of some Python."""

    def run(program: str) -> Run:
        directory = tmp_path / "file"
        (directory / "work").mkdir(parents=True)
        (directory / "program.py").write_text(program)
        return run_in(directory, forks, (), recipe=directory / "program.py")

    return run


@pytest.fixture(scope="session")
def runner(forks, tmp_path_factory):
    """Like `sentiment`, for results that several tests share."""

    def run(*flags) -> Run:
        directory = tmp_path_factory.mktemp("runner")
        (directory / "work").mkdir()
        return run_in(directory, forks, flags)

    return run


@pytest.fixture
def sentiment_process(tmp_path):
    """Runs recipes/sentiment.py as users do, in a process of its own."""

    def run(*flags: str) -> Run:
        command = [sys.executable, RECIPES / "sentiment.py", *map(str, flags)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        return Run(done.returncode, done.stdout, done.stderr)

    return run
