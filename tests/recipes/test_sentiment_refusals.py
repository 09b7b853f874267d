"""What recipes/sentiment.py refuses: exit code 2, one line that says what to do, nothing written."""

import pytest


@pytest.fixture
def refused(sentiment):
    """`refused(*flags, **files)` writes the files, runs the recipe, and returns the line of error."""

    def run(*flags, **files):
        for name, content in files.items():
            (sentiment.directory / name.replace("_", ".")).write_bytes(content.encode("latin-1"))
        before = sorted(sentiment.directory.rglob("*"))
        error = sentiment(*flags).error
        assert sorted(sentiment.directory.rglob("*")) == before
        return error

    return run


GOOD = "text,label\n" + "".join(f"film {n},{n % 2}\n" for n in range(40))


def test_missing_file(refused):
    assert "absent.csv does not exist" in refused("--dataset", "csv:absent.csv")


def test_missing_file_in_a_process_of_its_own(sentiment_process, tmp_path):
    assert "absent.csv does not exist" in sentiment_process("--dataset", "csv:absent.csv", "--export=").error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spec", ["csv:", "cvs:mine.csv", "imdb", "", "folder:here", "tfds:"])
def test_unknown_dataset(refused, spec):
    assert "expected rotten_tomatoes, tfds:" in refused("--dataset", spec)


def test_wrong_column(refused):
    error = refused("--dataset", "csv:mine.csv", "--text_column", "review", mine_csv=GOOD)
    assert "no column 'review'" in error and "'text', 'label'" in error


def test_a_class_with_one_example(refused):
    assert "at least 3 distinct examples" in refused("--dataset", "csv:mine.csv", mine_csv=GOOD + "odd,7\n")


def test_one_class(refused):
    one = "text,label\n" + "".join(f"film {n},1\n" for n in range(9))
    assert "at least two classes" in refused("--dataset", "csv:mine.csv", mine_csv=one)


def test_a_file_that_is_not_utf8(refused):
    assert "is not UTF-8" in refused("--dataset", "csv:mine.csv", mine_csv=GOOD.replace("film", "pr\xe9sent"))


def test_an_empty_file(refused):
    assert "no data rows" in refused("--dataset", "csv:mine.csv", mine_csv="")


def test_a_batch_that_replicas_cannot_share(refused):
    error = refused("--smoke", "--batch_size", 9, "--strategy", "mirrored", "--replicas", 2)
    assert "batch_size=9, replicas=2" in error


def test_one_device_with_two_replicas(refused):
    assert "'mirrored'" in refused("--smoke", "--strategy", "one", "--replicas", 2)


def test_model_dir_is_a_file(refused):
    assert "logs.csv" in refused("--smoke", "--noxla", "--model_dir", "logs.csv", logs_csv="precious")


def test_a_linear_model_of_words_on_a_microcontroller(refused):
    assert "--wide must be 0" in refused("--smoke", "--target", "micro", "--wide", 0.5)


def test_a_format_that_microcontrollers_lack(refused):
    error = refused("--smoke", "--target", "micro", "--export", "float16", "--export_dir", "out")
    assert "int8, float32, saved_model; got float16" in error
