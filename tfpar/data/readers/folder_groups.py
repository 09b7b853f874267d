"""Groups of files, such as those of one speaker or person, that must stay in one split."""

import re
from pathlib import Path, PurePosixPath

from tfpar.errors import UserError
from tfpar.files import read_file

GROUPS = "groups.tsv"
ONE_BY_ONE = (
    "files were dealt out one by one, so that a speaker or person of several files may be in several splits; "
    f"--group PATTERN or a file {GROUPS} keeps them together"
)


class FileGroups:
    """The group of each file in a folder, by a pattern or by the folder's own table.

    Args:
        root: the folder.
        pattern: a regular expression that is searched in a file's path below `root`, with "/" between folders; its
            first group names the file's. Empty: `groups.tsv` tells, a line per file (path, tab, group), if it is there.

    Attributes:
        source: where groups come from; empty: there are none.

    Raises:
        UserError: the pattern is no regular expression with a group, or the table cannot be read.
    """

    def __init__(self, root: Path, pattern: str = ""):
        self._root, self._pattern, self._table = root, None, {}
        self.source = ""
        if pattern:
            self._pattern, self.source = _compiled(pattern), f"--group {pattern}"
        elif (root / GROUPS).exists():
            self._table, self.source = _read_table(root / GROUPS), GROUPS

    def of(self, file: Path) -> str:
        """Return the group of a file, or "" where there are no groups; raise UserError for a file without one."""
        name = file.relative_to(self._root).as_posix()
        if not self.source:
            return ""
        if self._pattern is None:
            group = self._table.get(name)
        else:
            found = self._pattern.search(name)
            group = found and found[1]
        if not group:
            raise UserError(
                f"{self.source} names no group for {name!r} in {self._root}; it must name one for each file"
            )
        return group


def _compiled(pattern: str) -> re.Pattern:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"--group must be a regular expression; got {pattern!r}: {error}") from error
    if not compiled.groups:
        raise UserError(
            f"--group must have a group in parentheses, which names a file's group, such as '([^/]*)_'; got {pattern!r}"
        )
    return compiled


def _read_table(path: Path) -> dict[str, str]:
    try:
        lines = read_file(path).decode("utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    table: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.rstrip("\r").split("\t")
        if fields == [""] or (number == 1 and fields == ["path", "group"]):
            continue
        if len(fields) != 2 or not fields[1]:
            raise UserError(f"{path}: line {number} must be a path, a tab and a group; got {line[:80]!r}")
        name = PurePosixPath(fields[0]).as_posix()
        if table.setdefault(name, fields[1]) != fields[1]:
            raise UserError(f"{path}: {name!r} has the groups {table[name]!r} and {fields[1]!r}; name one")
    return table
