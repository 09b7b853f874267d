"""Runs the Python blocks of pages in one process, and prints the traceback of each page that failed as JSON.

Usage: python run_page_blocks.py PAGE... ; the blocks of one page share a namespace.
"""

import contextlib
import json
import os
import sys
import traceback
from pathlib import Path

from documents import ROOT, code_blocks


def run_page(page: Path) -> str | None:
    """Run a page's blocks in order; return None or a traceback."""
    namespace = {"__name__": "page"}
    try:
        for number, code in enumerate(code_blocks(page, "python"), 1):
            exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)
    except Exception:
        return traceback.format_exc()
    return None


def main() -> None:
    """Start two logical devices, which TensorFlow cannot do later, and run the pages."""
    from tfpar.cluster import make_strategy

    make_strategy("mirrored", replicas=2)
    errors = {}
    with contextlib.redirect_stdout(sys.stderr):
        for name in sys.argv[1:]:
            errors[name] = run_page(ROOT / name)
    print(json.dumps(errors), flush=True)
    os._exit(0)  # do not wait for TensorFlow's threads


if __name__ == "__main__":
    main()
