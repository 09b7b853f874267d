"""Formats the results of a benchmark as a Markdown table and a plot."""

import json
import math
from pathlib import Path

from tfpar.errors import UserError
from tfpar.export.report.plots import new_figure
from tfpar.files import written_atomically

EXTRA = "bench"
_FURTHER = {
    "form": "form",
    "bytes": "bytes",
    "examples_per_second": "examples a second",
    "windows_per_second": "windows a second",
    "exchanged_bytes": "bytes that a worker sends",
}
_MACHINE = ("tensorflow", "keras", "torch", "jax", "ai-edge-litert", "onnxruntime")


def read_report(path: Path) -> dict:
    """Read a file that `tfpar bench --json` wrote.

    Raises:
        UserError: the file is something else, or cannot be read.
    """
    try:
        report = json.loads(path.read_text())
        if report["rows"] and all(row["case"] and row["ratio"] is not None for row in report["rows"]):
            return report
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} cannot be read as figures of `tfpar bench --json`: {error}") from error
    raise UserError(f"{path} holds no figures; write it by `tfpar bench SUITE --json {path}`")


def check_has_marks(path: Path, suite: str) -> None:
    """Check before long work that a Markdown file has the marks for `put_table`.

    Raises:
        UserError: the file cannot be read, or lacks the marks.
    """
    begin, end = _marks(suite)
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if not 0 <= text.find(begin) < text.find(end):
        raise UserError(f"{path} needs a line {begin} and a line {end} after it; the table is put between them")


def put_table(report: dict, path: Path, suite: str) -> None:
    """Replace the text between two marks in a Markdown file by the table of a report."""
    check_has_marks(path, suite)
    begin, end = _marks(suite)
    before, rest = path.read_text().split(begin, 1)
    with written_atomically(path) as temporary:
        temporary.write_text(f"{before}{begin}\n{table(report)}{end}{rest.split(end, 1)[1]}")


def _marks(suite):
    return f"<!-- tfpar bench {suite} -->", f"<!-- end of tfpar bench {suite} -->"


def table(report: dict) -> str:
    """Format a report as Markdown.

    It has each peer's time over ours by case, and geometric means; the split of our step times and the memory, if
    measured; and the machine.
    """
    tables = filter(None, (make(report["rows"]) for make in (_ratios, _step_times, _memory)))
    return "\n" + "\n\n".join([*(_lines(*heads_and_body) for heads_and_body in tables), _machine(report)]) + "\n"


def _ratios(rows):
    peers, has_peak = _peers(rows), any("peak_fraction" in row for row in rows)
    further = [name for name in _FURTHER if any(name in row for row in rows)]
    peak_head = ["share of matmul peak"] if has_peak else []
    heads = ["case", *map(_FURTHER.get, further), "ms", *peak_head, *peers, *(["best"] if len(peers) > 1 else [])]
    body = []
    for row in rows:
        ratios = [row["ratio"].get(peer) for peer in peers]
        peak = [_percent(row.get("peak_fraction"))] if has_peak else []
        cells = [_format(row.get(name)) for name in further]
        time = "refused" if "refused" in row else _milliseconds(row["seconds"])
        body.append([row["case"], *cells, time, *peak, *map(_ratio, ratios + _best(ratios))])
    if not peers:
        return heads, body
    means = [_mean([row["ratio"].get(peer) for row in rows]) for peer in peers]
    best = [_mean([min(row["ratio"].values()) for row in rows if row["ratio"]])] if len(peers) > 1 else []
    gaps = [""] * (1 + len(further) + has_peak)
    return heads, [*body, ["geometric mean", *gaps, *(f"**{_ratio(mean)}**" for mean in means + best)]]


def _step_times(rows):
    """Make the table of step times: fractions of the time of a step, and of the matmul peak."""
    rows = [row for row in rows if "parts" in row]
    names = list(rows[0]["parts"]) if rows else []
    body = []
    for row in rows:
        times = [row["parts"][name] for name in names]
        fractions = [time["seconds"] / row["seconds"] for time in times]
        rates = [f" at {_percent(time['peak_fraction'])}" if "peak_fraction" in time else "" for time in times]
        cells = [_percent(fraction) + rate for fraction, rate in zip(fractions, rates, strict=True)]
        body.append([row["case"], *cells])
    return (["of our time (at a share of the peak)", *names], body) if rows else None


def _memory(rows):
    rows = [row for row in rows if "memory_bytes" in row]
    names = list(dict.fromkeys(name for row in rows for name in row["memory_bytes"]))
    body = [[row["case"], *(_megabytes(row["memory_bytes"].get(name)) for name in names)] for row in rows]
    return (["memory in MB", *names], body) if rows else None


def _lines(heads, body):
    return "\n".join([_line(heads), "|" + "---|" * len(heads), *map(_line, body)])


def _peers(rows):
    return list(dict.fromkeys(peer for row in rows for peer in row["ratio"]))


def _best(ratios):
    known = [ratio for ratio in ratios if ratio is not None]
    return [min(known, default=None)] if len(ratios) > 1 else []


def _mean(ratios):
    known = [ratio for ratio in ratios if ratio is not None]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else None


def _line(cells):
    return f"| {' | '.join(cells)} |"


def _milliseconds(seconds):
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:,.0f}"


def _megabytes(number):
    return "" if number is None else f"{number / 1e6:,.0f}"


def _ratio(ratio):
    return "" if ratio is None else f"{ratio:.2f}"


def _format(value):
    return "" if value is None else value if isinstance(value, str) else f"{value:,.0f}"


def _percent(fraction):
    return "" if fraction is None else f"{fraction:.0%}"


def _machine(report):
    machine, rounds = report["machine"], report.get("rounds")
    versions = ", ".join(f"{name} {machine[name]}" for name in _MACHINE if name in machine)
    method = "" if rounds is None else "; one round" if rounds == 1 else f"; medians of {rounds} rounds"
    return f"{machine['processor']}, {machine['cores']} cores; {versions}{method}."


def draw(report: dict, path: Path) -> None:
    """Plot each peer's time over ours, by case, as a PNG.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    rows, peers = report["rows"], _peers(report["rows"])
    figure = new_figure(9, 1.2 + 0.4 * len(rows), EXTRA)
    axes, height = figure.subplots(), 0.8 / max(1, len(peers))
    for number, peer in enumerate(peers):
        known = [(index, row["ratio"][peer]) for index, row in enumerate(rows) if peer in row["ratio"]]
        indices, ratios = zip(*known, strict=True)
        axes.barh([index - 0.4 + (number + 0.5) * height for index in indices], ratios, height, label=peer)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(rows)), [row["case"] for row in rows])
    axes.set(
        xscale="log",
        xlabel="peer's time over tfpar's (right of 1: tfpar is faster)",
        title=_machine(report),
    )
    axes.invert_yaxis()
    axes.grid(axis="x", which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png")
