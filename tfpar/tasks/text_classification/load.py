"""Loading of labeled texts: from a dataset spec to three checked splits."""

from pathlib import Path

from tfpar.data.readers.delimited import Dialect
from tfpar.data.readers.specs import FILE_KINDS, check_options, make_file_notice, parse_spec
from tfpar.data.readers.text_files import UTF8
from tfpar.tasks.text_classification.data import LabeledTexts, TextClassificationData, assemble
from tfpar.tasks.text_classification.delimited import read_texts
from tfpar.tasks.text_classification.tfds import read_tfds_texts

__all__ = ["LabeledTexts", "TextClassificationData", "load_text_classification"]

_BUNDLED = {"rotten_tomatoes": "rotten_tomatoes_movies"}


def load_text_classification(
    spec: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    split_column: str = "split",
    group_column: str = "",
    encoding: str = UTF8,
    delimiter: str = "",
    cache_dir: Path | str | None = None,
) -> TextClassificationData:
    """Load a data set for text classification.

    A file's `split` column (train, validation, test, unlabeled) is honored if it is there. Splits that the source
    does not bring are cut from its training rows by the md5 of the text, class by class; `split_rule` of the result
    says so. A text occurs once in a file's examples: repeats are skipped.

    Args:
        spec: "rotten_tomatoes" (bundled), "tfds:NAME[/CONFIG]", "csv:PATH" or "tsv:PATH".
        text_column, label_column: for files: names in the header, or numbers from 0 in a file without a header.
        split_column: for files: the column that says train, validation or test. It may be missing if it is "split".
        group_column: for files: rows that are equal here, such as those of one author, share a split where splits are
            cut; empty: texts are dealt out one by one.
        encoding: for files: as Python names it, such as "cp1252" or "utf-16".
        delimiter: for files: one character, or "\\t"; empty: the comma of csv:, the tab of tsv:.
        cache_dir: where to fetch and prepare; by default $TFPAR_CACHE, else the user's cache directory.

    Returns:
        The splits, with classes by alphabet (numbers by value; TFDS sets keep their own order).

    Raises:
        UserError: the spec, the file, a column or the classes are not what is needed.
        MissingExtraError: TensorFlow Datasets is needed and not installed.
    """
    kind, rest = parse_spec(spec, _BUNDLED, holds="texts")
    check_options(spec, kind, FILE_KINDS, encoding=encoding, delimiter=delimiter, group_column=group_column)
    if kind == "tfds":
        cache_dir = Path(cache_dir).expanduser() if cache_dir is not None else None
        collected, notice = read_tfds_texts(rest, cache_dir)
    else:
        path = Path(rest).expanduser()
        columns = dict(text_column=text_column, label_column=label_column, split_column=split_column)
        collected = read_texts(path, Dialect(kind == "csv", delimiter, encoding), group_column=group_column, **columns)
        notice = make_file_notice(path)
    return assemble(spec, collected, notice)
