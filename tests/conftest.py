"""Lets tests import what they share from `tests/support`, orders files, and makes tiny sets of TensorFlow Datasets."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from tfpar.data.readers.cache import locked

sys.path.insert(0, str(Path(__file__).parent / "support"))
import fork_server  # noqa: E402

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


def pytest_configure(config):
    """Choose the address of the server of forks, which ends with the process that sets it."""
    if fork_server.ADDRESS not in os.environ:
        directory = tempfile.mkdtemp(prefix="tfpar_tests_")
        os.environ[fork_server.ADDRESS] = os.path.join(directory, "forks")
        os.environ[f"{fork_server.ADDRESS}_OWNER"] = str(os.getpid())
        config.add_cleanup(lambda: shutil.rmtree(directory))


@pytest.fixture(scope="session", autouse=True)
def converters_are_forks():
    """Let TFLite converters start without a new import of TensorFlow."""
    fork_server.fork_converters()


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
def sentiment_smoke(of_all_processes):
    """A directory with the output of `recipes/sentiment.py --smoke`: stdout, stderr, export."""
    recipe = Path(__file__).parents[1] / "recipes" / "sentiment.py"

    def make(directory):
        directory.mkdir()
        flags = ["--smoke", "--noxla", "--export_dir", directory / "export", "--export", "saved_model,float32,int8"]
        done = fork_server.run_fork([recipe, *flags], cwd=directory, timeout=280)
        for name in ("stdout", "stderr"):
            (directory / name).write_text(getattr(done, name))
        assert done.returncode == 0, done.stderr

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
