"""What recipes/sentiment.py refuses before it has imported TensorFlow."""

import pytest


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--cell lsmt", "--cell"),
        ("--pooling average", "--pooling"),
        ("--strategy all", "--strategy"),
        ("--precision float8", "--precision"),
        ("--epochs many", "--epochs"),
        ("--epochs 0", "--epochs"),
        ("--dropout 1", "--dropout"),
        ("--learning_rate=-1", "--learning_rate"),
        ("--learning_rate nan", "--learning_rate"),
        ("--replicas=-1", "--replicas"),
        ("--max_tokens 0", "--max_tokens"),
        ("--export float32,int4", "--export"),
        ("--celll lstm", "celll"),
        ("lstm", "'lstm'"),
        ("--noexport exports", "noexport"),
        ("--xla=perhaps", "--xla"),
    ],
)
def test_a_flag_that_is_wrong(sentiment_process, tmp_path, flags, named):
    run = sentiment_process("--smoke", "--noxla", *flags.split())
    assert run.error in run.stderr and len(run.stderr.splitlines()) == 1
    assert named in run.error
    assert not list(tmp_path.iterdir())


@pytest.fixture
def refused(sentiment_process):
    """The error of a run that is to leave its model in a directory."""

    def run(directory):
        run = sentiment_process("--smoke", "--export_dir", directory)
        assert len(run.stderr.splitlines()) == 1
        return run.error

    return run


def test_a_file_is_where_the_export_shall_go(refused, tmp_path):
    (tmp_path / "file").write_text("precious")
    assert "file is a file" in refused(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


def test_the_parent_of_the_export_is_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("precious")
    assert "cannot be written" in refused(tmp_path / "file" / "export")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_directory_of_other_things(refused, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    assert "holds other files" in refused(tmp_path / "photos")
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "one.jpg"]
