"""Loading of translations: from a dataset spec to three checked splits of sentence pairs."""

from pathlib import Path

from tfpar.data.readers.delimited import Dialect
from tfpar.data.readers.specs import FILE_KINDS, check_options, make_file_notice, parse_spec
from tfpar.data.readers.text_files import UTF8
from tfpar.errors import UserError
from tfpar.tasks.translation.data import TranslationPairs, assemble_pairs
from tfpar.tasks.translation.delimited import read_pairs
from tfpar.tasks.translation.tfds import read_tfds_pairs

_BUNDLED = {"tatoeba_spanish": "tatoeba_spanish"}
_BUNDLED_MAX_WORDS, _MAX_WORDS = 20, 50
_DEFAULT_COLUMNS = ("source", "target")


def load_translation(
    dataset: str = "tatoeba_spanish",
    *,
    source_column: str = "source",
    target_column: str = "target",
    split_column: str = "split",
    max_words: int | None = None,
    encoding: str = UTF8,
    delimiter: str = "",
    cache_dir: Path | str | None = None,
) -> TranslationPairs:
    """Load pairs of sentences.

    A file's `split` column (train, validation, test) is honored if it is there, and so are the published splits of a
    TFDS set. Missing ones are cut from the training rows by the md5 of the source side, so that no source side is in
    two splits; `split_rule` of the result says so. Which side is which cannot be seen from the texts: swapped columns
    train a translator of the other direction.

    Args:
        dataset: "tatoeba_spanish" (bundled), "tfds:NAME[/CONFIG]", "csv:PATH" or "tsv:PATH".
        source_column, target_column: for files: names in the header, or numbers from 0 in a file without a header. For
            TFDS: its features; left as they are, the set's own choice.
        split_column: for files: the column that says train, validation or test. It may be missing if it is "split".
        max_words: pairs with more words on a side, between spaces, are left out; by default more than 50. The bundled
            set has 20 words at most.
        encoding: for files: as Python names it, such as "cp1252" or "utf-16".
        delimiter: for files: one character, or "\\t"; empty: the comma of csv:, the tab of tsv:.
        cache_dir: where to fetch and prepare; by default $TFPAR_CACHE, else the user's cache directory.

    Raises:
        UserError: the spec, the file, a column or the pairs are not what is needed.
        MissingExtraError: TensorFlow Datasets is needed and not installed.
    """
    kind, rest = parse_spec(dataset, _BUNDLED, holds="translations")
    check_options(dataset, kind, FILE_KINDS, encoding=encoding, delimiter=delimiter)
    limit = _words_limit(max_words, is_bundled=kind == "tfds" and rest in _BUNDLED.values())
    if kind == "tfds":
        cache_dir = Path(cache_dir).expanduser() if cache_dir is not None else None
        columns = (source_column, target_column)
        collected, notice = read_tfds_pairs(rest, None if columns == _DEFAULT_COLUMNS else columns, limit, cache_dir)
    else:
        path = Path(rest).expanduser()
        collected = read_pairs(
            path,
            Dialect(kind == "csv", delimiter, encoding),
            source_column=source_column,
            target_column=target_column,
            split_column=split_column,
            max_words=limit,
        )
        notice = make_file_notice(path)
    return assemble_pairs(dataset, collected, notice)


def _words_limit(max_words: int | None, is_bundled: bool) -> int:
    if max_words is not None and max_words < 1:
        raise UserError(f"max_words must be 1 or more; got {max_words}")
    if is_bundled and max_words not in (None, _BUNDLED_MAX_WORDS):
        raise UserError(
            f"max_words is {_BUNDLED_MAX_WORDS} in the bundled set, so that its test stays the same; got {max_words}; "
            "leave it out"
        )
    return max_words or (_BUNDLED_MAX_WORDS if is_bundled else _MAX_WORDS)
