"""Setting of data sets in folders of files."""

import dataclasses

from tfpar.tasks.config import Config, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileGroups(Config):
    """Setting that keeps files of a folder in one split."""

    group: str = setting(
        "",
        "folder: a regular expression, searched in a file's path below the folder; files for which its first group is "
        "the same, such as those of one person, stay in one split. Empty: groups.tsv in the folder, if it is there.",
    )
