"""Writes docs/api.md: one line for each public name, from its docstring.

Usage: python scripts/write_api_page.py
"""

import inspect
import re
import sys
import types
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "api.md"
HEAD = """# Public names

One line for each name; `help(tfpar.layers.LSTM)` prints the whole docstring. `scripts/write_api_page.py` writes this
page. Names that are not listed here may change at any time.
"""


def main() -> None:
    """Write the page."""
    import tfpar

    PAGE.write_text("\n".join([HEAD, *describe_package("tfpar", tfpar)]).rstrip() + "\n")


def describe_package(path: str, package: types.ModuleType) -> list[str]:
    """Return a section for a package, and one for each package among its names."""
    members = {name: getattr(package, name) for name in sorted(package.__all__, key=str.lower)}
    packages = {name: member for name, member in members.items() if isinstance(member, types.ModuleType)}
    lines = [f"## `{path}`", "", first_line(package), ""]
    if named := {name: member for name, member in members.items() if name not in packages}:
        lines += ["| name | |", "|---|---|"]
        lines += [f"| `{name}` | {describe(member)} |" for name, member in named.items()] + [""]
    for name, member in packages.items():
        lines += describe_package(f"{path}.{name}", member)
    return lines


def describe(member) -> str:
    """Return one line: the docstring's first sentence, or the values of a constant."""
    if inspect.isclass(member) or callable(member):
        return first_line(member)
    values = list(member) if isinstance(member, dict | tuple | list) else [member]
    return "Constant: " + ", ".join(f"`{value}`" for value in values)


def first_line(member) -> str:
    """Return the first paragraph of a docstring in one line, escaped for a Markdown table."""
    paragraph = (inspect.getdoc(member) or "").split("\n\n")[0]
    return re.sub(r"\s+", " ", paragraph).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()
