"""Configuration of Sphinx: Markdown pages by MyST, in the theme Furo."""

import re

project = "tfpar"
copyright = "the tfpar authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "tfpar"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
nitpicky = True

# [text](../path), but not an image: a file of the repository that is no page.
_OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\((?:\.\./)+([^)]+)\)")


def _name_outside_files(app, page, source):
    """Replace links to files outside docs/ by their path: the built pages do not contain them."""
    folder = (app.srcdir / page).parent

    def replace(match):
        target = (folder / match[0].rpartition("(")[2][:-1].partition("#")[0]).resolve()
        return match[0] if target.is_relative_to(app.srcdir) else f"{match[1]} (`{match[2]}`)"

    source[0] = _OUTSIDE.sub(replace, source[0])


def setup(app):
    app.connect("source-read", _name_outside_files)
