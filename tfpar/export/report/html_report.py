"""Writes `report.html`, the report of a run in one file without links to others, for all tasks."""

import base64
import dataclasses
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpar.export.report.refusals import is_refused

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }}
table {{ border-collapse: collapse; margin: 0.5rem 0; }}
th, td {{ padding: 0.2rem 0.8rem; border-bottom: 1px solid #e5e5e5; text-align: left; vertical-align: top; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
img {{ max-width: 100%; }} pre {{ background: #f5f5f5; padding: 0.6rem; overflow-x: auto; }}
.refused {{ color: #a00; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes:
        columns: their headings.
        rows: cells; numbers are formatted.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def write_report(
    path: Path, manifest: Mapping[str, Any], tables: Mapping[str, Table], pictures: Iterable[Path]
) -> None:
    """Write the report of an export.

    Args:
        path: of the HTML file.
        manifest: of the export: "name", "summary", "data", "split", "notice", "metrics", "exports", "command",
            "train_seconds" and, if they are known, "strategy" and "kernels".
        tables: more tables by heading, from the task.
        pictures: PNG files, which become part of the page; the name of a file is its heading.
    """
    sections = [f"<p>{_escape(manifest['summary'])}</p>"]
    sections.append(_section("Results on the test set", _format_table(_list_metrics(manifest["metrics"]))))
    sections += [_section(heading, _format_table(table)) for heading, table in tables.items()]
    sections += [_section(_make_heading(picture), _embed(picture)) for picture in pictures]
    sections.append(_section("Exported files", _format_table(_list_files(manifest["exports"]))))
    sections.append(_section("Data", _list_facts(manifest, ("data", "split", "notice"))))
    sections.append(_section("How it ran", _describe_run(manifest)))
    title = _escape(str(manifest["name"]).replace("_", " "))
    path.write_text(_PAGE.format(title=title, body="\n".join(sections)), encoding="utf-8")


def _section(heading: str, content: str) -> str:
    return f"<h2>{_escape(heading)}</h2>\n{content}"


def _escape(text: Any) -> str:
    return html.escape(str(text))


def _make_heading(picture: Path) -> str:
    return picture.stem.replace("_", " ").capitalize()


def _embed(picture: Path) -> str:
    content = base64.b64encode(picture.read_bytes()).decode("ascii")
    return f'<img alt="{_escape(_make_heading(picture))}" src="data:image/png;base64,{content}">'


def _format_table(table: Table) -> str:
    head = "".join(f"<th>{_escape(column)}</th>" for column in table.columns)
    rows = ["".join(map(_format_cell, row)) for row in table.rows]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(f"<tr>{row}</tr>" for row in rows) + "\n</table>"


def _format_cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{_escape('' if value is None else value)}</td>"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f'<td class="number">{text}</td>'


def _list_metrics(metrics: Mapping[str, float]) -> Table:
    return Table(("metric", "value"), [(name.replace("_", " "), value) for name, value in metrics.items()])


def _list_files(reports: Sequence[Mapping[str, Any]]) -> Table:
    rows: list[tuple] = []
    for report in reports:
        if is_refused(dict(report)):
            rows.append((report["format"], None, None, None, None, f"not written: {report['refused']}"))
            continue
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in report.get("metrics", {}).items())
        latency = report.get("latency_ms", {}).get("median")
        form = report.get("form")
        reason = f"{form}: {report['form_reason']}" if form and "form_reason" in report else form
        if "arena_bytes" in report:
            reason = f"{reason}; arena of {report['arena_bytes']:,} bytes"
        rows.append((report["format"], report["bytes"], metrics, report.get("max_abs_error"), latency, reason))
    columns = ("format", "bytes", "on the test set", "largest difference to Keras", "latency, ms", "form and reason")
    return Table(columns, rows)


def _list_facts(manifest: Mapping[str, Any], names: Sequence[str]) -> str:
    return "\n".join(f"<p>{_escape(manifest[name])}</p>" for name in names if manifest.get(name))


def _describe_run(manifest: Mapping[str, Any]) -> str:
    lines = [f"<p>Strategy: {_escape(manifest['strategy'])}.</p>"] if "strategy" in manifest else []
    lines += [f"<p>Kernel of {_escape(kernel)}.</p>" for kernel in manifest.get("kernels", ())]
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    lines.append(f"<pre>{_escape(manifest['command'])}</pre>")
    lines.append(f"<p>Training took {manifest['train_seconds']:.0f} s with {_escape(versions)}.</p>")
    return "\n".join(lines)
