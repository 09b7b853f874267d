"""Recipes as commands: flags in, exit code, stdout and stderr out."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from fork_server import run_fork

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


def run_in(directory: Path, flags, kill_at_epoch=0, recipe="sentiment") -> Run:
    """Runs a recipe, or the script of a path, in `directory / "work"`."""
    program = recipe if isinstance(recipe, Path) else RECIPES / f"{recipe}.py"
    arguments = [program, *map(str, flags)]
    done = run_fork(arguments, cwd=directory / "work", kill_at_epoch=kill_at_epoch, timeout=600)
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def sentiment(tmp_path):
    """`sentiment(*flags)` -> Run, in a directory of its own: `sentiment.directory`."""
    work = tmp_path / "work"
    work.mkdir()

    def run(*flags, kill_at_epoch: int = 0) -> Run:
        return run_in(tmp_path, flags, kill_at_epoch)

    run.directory = work
    return run


@pytest.fixture
def run_recipe(tmp_path):
    """`run_recipe(name, *flags)` -> Run, in a directory of its own: `run_recipe.directory`."""
    work = tmp_path / "work"
    work.mkdir()

    def run(name: str, *flags, kill_at_epoch: int = 0) -> Run:
        return run_in(tmp_path, flags, kill_at_epoch, recipe=name)

    run.directory = work
    return run


@pytest.fixture
def run_file(tmp_path):
    """`run_file(program)` -> Run, of some Python."""

    def run(program: str) -> Run:
        directory = tmp_path / "file"
        (directory / "work").mkdir(parents=True)
        (directory / "program.py").write_text(program)
        return run_in(directory, (), recipe=directory / "program.py")

    return run


@pytest.fixture(scope="session")
def runner(tmp_path_factory):
    """Like `sentiment`, for results that several tests share."""

    def run(*flags) -> Run:
        directory = tmp_path_factory.mktemp("runner")
        (directory / "work").mkdir()
        return run_in(directory, flags)

    return run


@pytest.fixture
def sentiment_process(tmp_path):
    """Runs recipes/sentiment.py as users do, in a process of its own."""

    def run(*flags: str) -> Run:
        command = [sys.executable, RECIPES / "sentiment.py", *map(str, flags)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        return Run(done.returncode, done.stdout, done.stderr)

    return run
