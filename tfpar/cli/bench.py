"""`tfpar bench SUITE`: compares the speed of tfpar with other frameworks."""

import importlib.util
import json
import statistics
import sys
from pathlib import Path

from tfpar.bench import crossovers, export, forecasting, profile, recurrent, scan, sequence, training, translation
from tfpar.bench.lower import lower_cases
from tfpar.bench.machine import describe_machine
from tfpar.bench.report import EXTRA, check_has_marks, draw, put_table, read_report
from tfpar.bench.stopwatch import paired_ratios, run_interleaved
from tfpar.cli.arguments import Parser
from tfpar.errors import MissingExtraError, UserError
from tfpar.export.report.plots import new_figure
from tfpar.files import check_usable_directory, check_writable_file, written_atomically

SUITES = {
    "training": training,
    "translation": translation,
    "forecasting": forecasting,
    "recurrent": recurrent,
    "profile": profile,
    "scan": scan,
    "sequence": sequence,
    "export": export,
}
RUN_TIMEOUT_S = 600


def main(arguments: list[str]) -> None:
    """Print each case when it is measured, and at the end `{"machine", "rounds", "rows"}` as JSON.

    The JSON file is written after each case, so that a run of hours that is interrupted loses nothing.
    """
    description = (
        "Compares the speed of tfpar with other frameworks, interleaved, in fresh processes; the suite `profile` splits"
        " its own step times."
    )
    parser = Parser(prog="tfpar bench", description=description)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--peers", help="comma-separated; default: all peers of the suite")
    parser.add_argument("--cases", default="", help="only cases whose names contain this text")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each competitor")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot the results to this PNG file")
    parser.add_argument("--table", type=Path, metavar="FILE", help="put a table into this Markdown file")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="known", help="read results from this file")
    parser.add_argument(
        "--lower",
        type=Path,
        metavar="DIR",
        help="of scan: write the cases to DIR as StableHLO programs, with a script that runs them by JAX on any device",
    )
    parser.add_argument(
        "--store_crossovers",
        type=Path,
        metavar="FILE",
        help="of scan: measure from how many steps the parallel evaluation of each cell is faster, and write the table"
        " to FILE; --cases selects cells",
    )
    options = parser.parse_args(arguments)
    if options.lower:
        return _lower(options)
    if options.store_crossovers:
        return _store_crossovers(options)
    for name in ("json", "plot"):
        if getattr(options, name):
            check_writable_file(getattr(options, name), f"--{name}")
    if options.table:
        _check_table(options)
    if options.plot:
        new_figure(1, 1, EXTRA)  # checks that Matplotlib is installed
    for report in [read_report(options.known)] if options.known else _measure(options):
        if options.json:
            with written_atomically(options.json) as temporary:
                temporary.write_text(json.dumps(report, indent=2) + "\n")
    if options.plot:
        with written_atomically(options.plot) as temporary:
            draw(report, temporary)
    if options.table:
        put_table(report, options.table, options.suite)
    print(json.dumps(report))


def _lower(options):
    if options.suite != "scan":
        raise UserError(f"--lower is for the suite scan; got {options.suite}")
    check_usable_directory(options.lower, "--lower")
    programs = list(lower_cases(_choose_cases(scan, options.cases), options.lower))
    print(json.dumps({"programs": programs, "run": f"python {options.lower / 'run.py'}"}))


def _store_crossovers(options):
    if options.suite != "scan":
        raise UserError(f"--store_crossovers is for the suite scan; got {options.suite}")
    check_writable_file(options.store_crossovers, "--store_crossovers")
    crossovers.read_crossovers(options.store_crossovers)
    _check_rounds(options.rounds)

    def time_cases(cases):
        commands = {case: ["-m", scan.__name__, "tfpar", case] for case in cases}
        runs = run_interleaved(commands, options.rounds, RUN_TIMEOUT_S)
        print(", ".join(f"{case}: {runs[case][-1]}" for case in cases), file=sys.stderr, flush=True)
        return runs

    for entry in crossovers.measure_crossovers(time_cases, options.cases):
        crossovers.store_crossovers(entry, options.store_crossovers)
    print(json.dumps(entry))


def _check_rounds(rounds):
    if rounds < 1:
        raise UserError(f"--rounds must be 1 or more; got {rounds}")


def _choose_cases(suite, text):
    cases = [case for case in suite.CASES if text in case]
    if not cases:
        raise UserError(f"--cases must be contained in one of {', '.join(suite.CASES)}; got {text!r}")
    return cases


def _check_table(options):
    try:
        check_has_marks(options.table, options.suite)
    except UserError as error:
        raise UserError(f"--table {error}") from error


def _measure(options):
    """Yield the report after each case."""
    suite = SUITES[options.suite]
    cases = _choose_cases(suite, options.cases)
    _check_rounds(options.rounds)
    peers = _check_peers(suite.PEERS if options.peers is None else options.peers.split(","), suite)
    report = {"machine": describe_machine(), "rounds": options.rounds, "rows": []}
    for case in cases:
        report["rows"].append(_row(suite, case, peers, options.rounds))
        yield report


def _check_peers(names, suite):
    names = [name for name in names if name]
    for name in names:
        if name not in suite.PEERS:
            raise UserError(f"--peers must list some of {', '.join(suite.PEERS)}; got {name!r}")
        for package in getattr(suite, "PACKAGES", {}).get(name, (name.split("_")[0],)):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, EXTRA, "as a peer")
    return names


def _row(suite, case, peers, rounds):
    competitors = ("tfpar", *peers, *suite.REFERENCES)
    runs = run_interleaved({name: ["-m", suite.__name__, name, case] for name in competitors}, rounds, RUN_TIMEOUT_S)
    if refusals := [run["refused"] for run in runs["tfpar"] if "refused" in run]:
        print(f"{case}: refused, since {refusals[0]}", file=sys.stderr, flush=True)
        return {"case": case, "refused": refusals[0], "ratio": {}}
    seconds = {name: [run["seconds"] for run in runs_of] for name, runs_of in runs.items()}
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = paired_ratios(seconds, "tfpar")
    row = {**suite.row(case, medians), "seconds": medians["tfpar"], "ratio": {name: ratios[name] for name in peers}}
    # The other results of our own runs, such as the form of a file.
    row.update({name: value for name, value in runs["tfpar"][-1].items() if name not in ("seconds", "memory_bytes")})
    memory: dict[str, list] = {name: [run.get("memory_bytes") for run in runs[name]] for name in ("tfpar", *peers)}
    known = {name: statistics.median(of) for name, of in memory.items() if None not in of}
    row.update({"memory_bytes": known} if known else {})
    ratios_text = ", ".join(f"{name} {ratio:.2f}" for name, ratio in row["ratio"].items())
    ratios_text = ratios_text and f"; peers' time over ours: {ratios_text}"
    print(f"{row['case']}: {1e3 * row['seconds']:.3g} ms{ratios_text}", file=sys.stderr, flush=True)
    return row
