"""Pages of the documentation, their code blocks and the commands in them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "tfpar" / "README.md"])
NOT_RUN = "<!-- not run -->"
_BLOCK = re.compile(r"^(?P<mark><!-- not run -->\n\n?)?```(?P<language>\w+)\n(?P<code>.*?)^```", re.S | re.M)
_INLINE = re.compile(r"`((?:\.venv/bin/)?(?:tfpar (?:-|[a-z])|python recipes/)[^`]*)`")
_INDENTED = re.compile(r"^    ((?:\.venv/bin/)?(?:tfpar|python) .*)$", re.M)


def name_of(page: Path) -> str:
    """Return a page's path relative to the repository."""
    return page.relative_to(ROOT).as_posix()


def code_blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language that are to be run."""
    blocks = _BLOCK.finditer(page.read_text())
    return [block["code"] for block in blocks if block["language"] == language and not block["mark"]]


def shell_lines(page: Path) -> list[str]:
    """Return the lines of a page's shell blocks, without comments."""
    lines = "".join(code_blocks(page, "sh")).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def commands(page: Path) -> list[list[str]]:
    """Return the arguments of each `tfpar` and `python recipes/...` command in blocks and in text.

    A command that the text only names gets `--help`. Those that stand for a pattern, with "...", are left out.
    """
    text = page.read_text()
    prose = _BLOCK.sub("", text)
    lines = [*shell_lines(page), *_INDENTED.findall(prose), *_INLINE.findall(prose)]
    found = []
    for line in lines:
        arguments = shlex.split(line.replace("\\|", "|"), comments=True)
        arguments[0] = Path(arguments[0]).name
        is_ours = arguments[0] == "tfpar" or (arguments[0] == "python" and arguments[1].startswith("recipes/"))
        if is_ours and "..." not in line:
            found.append([*arguments, "--help"] if len(arguments) == 2 and arguments[0] == "tfpar" else arguments)
    return found
