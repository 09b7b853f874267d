"""Lets tests import what they share from `tests/support`, orders files, and makes tiny sets of TensorFlow Datasets."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfpar.data.readers.cache import locked

sys.path.insert(0, str(Path(__file__).parent / "support"))

DURATIONS = Path(__file__).with_name("durations.txt")  # made by scripts/store_durations
SLOW_TESTS, RELEASE_TESTS = (Path(__file__).with_name(f"{name}_tests.txt") for name in ("slow", "release"))


def make_matcher(list_of_names: Path):
    """Make a function that returns whether a test's name begins with a regular expression of the list."""
    lines = [line for line in list_of_names.read_text().splitlines() if line and not line.startswith("#")]
    return re.compile("tests/(" + "|".join(lines) + ")").match


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests of the lists, and run the files that take longest first, so that all processes end soon."""
    is_slow, is_for_releases = make_matcher(SLOW_TESTS), make_matcher(RELEASE_TESTS)
    for item in items:
        if is_slow(item.nodeid):
            item.add_marker(pytest.mark.slow)
        if is_for_releases(item.nodeid) and any(map(item.get_closest_marker, ("slow", "network"))):
            item.add_marker(pytest.mark.release)
    rows = (line.split(maxsplit=1) for line in DURATIONS.read_text().splitlines())
    seconds = {DURATIONS.parents[1] / name: float(duration) for duration, name in rows}
    items.sort(key=lambda item: -seconds.get(item.path, 0.0))


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """`forks(request)` -> exit code: runs a recipe or command without a new import of TensorFlow, see `run_forked`."""
    script = Path(__file__).parent / "support" / "run_forked.py"
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with (
        open(tmp_path_factory.mktemp("forks") / "log", "w") as stderr,
        subprocess.Popen([sys.executable, script], stderr=stderr, **pipes) as process,
    ):

        def run(request: dict) -> int:
            print(json.dumps({"kill_at_epoch": 0, **request}), file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run
        process.kill()  # not by the end of its input, which a process that has inherited the pipe may hold open


@pytest.fixture(scope="session")
def of_all_processes(tmp_path_factory):
    """`of_all_processes(name, make)` -> path: a directory that the first process to need it makes by `make(path)`."""

    def get(name: str, make) -> Path:
        root = tmp_path_factory.getbasetemp()
        root = root.parent if root.name.startswith("popen-") else root  # a worker of pytest-xdist
        with locked(root / f"{name}.lock"):
            path = root / name
            if not path.exists():
                make(path)
        return path

    return get


@pytest.fixture(scope="session")
def sentiment_smoke(of_all_processes, forks):
    """A directory with the output of `recipes/sentiment.py --smoke`: stdout, stderr, export."""
    recipe = Path(__file__).parents[1] / "recipes" / "sentiment.py"

    def make(directory):
        directory.mkdir()
        flags = ["--smoke", "--noxla", "--export_dir", directory / "export", "--export", "saved_model,float32,int8"]
        streams = {name: str(directory / name) for name in ("stdout", "stderr")}
        request = {"program": str(recipe), "arguments": [*map(str, flags)], "cwd": str(directory), "stdin": os.devnull}
        assert forks({**request, **streams}) == 0, (directory / "stderr").read_text()

    return of_all_processes("sentiment_smoke", make)


@pytest.fixture
def tfds(monkeypatch):
    """TensorFlow Datasets, kept from looking for prepared sets in its public bucket: tests need no network."""
    import tensorflow_datasets

    monkeypatch.setattr(tensorflow_datasets.core.utils.gcs_utils, "_is_gcs_disabled", True)
    return tensorflow_datasets


@pytest.fixture
def make_set(tfds):
    """Registers a tiny TFDS set: features, supervised keys, and rows by split."""

    def make(class_name: str, features: dict, rows: dict, supervised_keys=None):
        def info(self):
            connectors = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(
                builder=self, features=connectors, supervised_keys=supervised_keys, citation="Me, 2020"
            )

        members = {
            "__module__": __name__,
            "VERSION": tfds.core.Version("1.0.0"),
            "_info": info,
            "_split_generators": lambda self, manager: {
                name: iter(list(enumerate(examples))) for name, examples in rows.items()
            },
            "_generate_examples": lambda self: None,
        }
        return type(class_name, (tfds.core.GeneratorBasedBuilder,), members)

    return make
