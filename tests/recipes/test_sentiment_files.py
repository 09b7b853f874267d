"""recipes/sentiment.py on a user's own file."""

import pytest

SMALL = "--noxla --units 8 --embedding_size 8 --buckets 2 --export= --batch_size 16".split()


def rows(count):
    """`count` pairs of a text and its class."""
    return [(f"a {('good', 'bad')[n % 2]} film, number {n}", ("pos", "neg")[n % 2]) for n in range(count)]


def test_csv_with_rows_that_cannot_be_used(sentiment):
    lines = [f'"{text}",{label}' for text, label in rows(300)]
    lines[50:50] = ['"",pos', '"   ",neg', "too,many,fields", '"' + "endless " * 100_000 + '",pos']
    content = "\n".join(["review,stars", *lines]).encode().replace(b"number 7", b"num\xe9ro 7", 1)
    (sentiment.directory / "mine.csv").write_bytes(content)
    flags = "--dataset csv:mine.csv --text_column review --label_column stars --steps 3".split()
    run = sentiment(*flags, *SMALL)
    result = run.result
    assert result["dataset"] == "csv:mine.csv"
    assert sum(result["examples"].values()) == 300  # one row of bytes out, the endless one in
    assert "skipped 2 row(s): empty text" in run.stderr
    assert "skipped 1 row(s): invalid UTF-8" in run.stderr
    assert "skipped 1 row(s): wrong number of fields" in run.stderr
    assert result["epochs"] == 1


@pytest.mark.slow
def test_tsv_with_numbered_columns(sentiment):
    lines = [f'{label}\t"{text}' for text, label in rows(300)]
    (sentiment.directory / "mine.tsv").write_text("\n".join(lines))
    flags = "--dataset tsv:mine.tsv --text_column 1 --label_column 0 --epochs 2 --model_dir logs".split()
    result = sentiment(*flags, *SMALL).result
    assert sum(result["examples"].values()) == 300
    assert result["epochs"] == 2
    assert result["metrics"]["accuracy"] >= 0.5
    history = (sentiment.directory / "logs" / "history.csv").read_text().splitlines()
    assert history[0].startswith("epoch,") and len(history) == 3
    assert list((sentiment.directory / "logs").rglob("events.out.tfevents.*"))


@pytest.mark.slow
def test_steps_come_before_epochs(sentiment):
    lines = [f"{text}\t{label}" for text, label in rows(300)]
    (sentiment.directory / "mine.tsv").write_text("\n".join(["text\tlabel", *lines]))
    result = sentiment("--dataset", "tsv:mine.tsv", "--epochs", 1, "--steps", 23, *SMALL).result
    assert result["epochs"] == 2  # of 15 steps each
