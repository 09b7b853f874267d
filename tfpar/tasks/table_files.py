"""Settings of data sets in files of one table."""

import dataclasses

from tfpar.tasks.config import Config, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableFiles(Config):
    """Settings of how csv: and tsv: files are read."""

    split_column: str = setting("split", "csv:, tsv: a column of train, validation, test, if there is one.")
    encoding: str = setting("utf-8", "csv:, tsv: the file's encoding, such as cp1252 or utf-16.")
    delimiter: str = setting("", r"csv:, tsv: the character between fields, such as ';' or '\t'; empty: comma, tab.")
