"""`tfpar bench SUITE`: times tfpar against its peers."""

import importlib.util
import json
import statistics
import sys
from pathlib import Path

from tfpar.bench import recurrent, training
from tfpar.bench.machine import describe_machine
from tfpar.bench.stopwatch import paired_ratios, seconds_in_turn
from tfpar.cli.arguments import Parser
from tfpar.errors import MissingExtraError, UserError
from tfpar.files import written_atomically

SUITES = {"training": training, "recurrent": recurrent}
RUN_TIMEOUT_S = 600


def main(arguments: list[str]) -> None:
    """Prints each case's figures as they come, and `{"machine", "rows"}` as JSON at the end, to a file too if asked."""
    parser = Parser(prog="tfpar bench", description="Times tfpar against its peers, in turn, in fresh processes.")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--peers", help="comma-separated; all that the suite has if not given")
    parser.add_argument("--cases", default="", help="those whose names contain this")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each competitor")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(arguments)
    suite = SUITES[options.suite]
    cases = [case for case in suite.CASES if options.cases in case]
    if not cases:
        raise UserError(f"--cases must be part of one of {', '.join(suite.CASES)}; got {options.cases!r}")
    if options.rounds < 1:
        raise UserError(f"--rounds must be 1 or more; got {options.rounds}")
    peers = _checked_peers(suite.PEERS if options.peers is None else options.peers.split(","), suite)
    rows = [_row(suite, case, peers, options.rounds) for case in cases]
    report = {"machine": describe_machine(), "rows": rows}
    if options.json:
        with written_atomically(options.json) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report))


def _checked_peers(names, suite):
    names = [name for name in names if name]
    for name in names:
        if name not in suite.PEERS:
            raise UserError(f"--peers must list some of {', '.join(suite.PEERS)}; got {name!r}")
        package = name.split("_")[0]
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "bench", "as a peer")
    return names


def _row(suite, case, peers, rounds):
    competitors = ("tfpar", *peers, *suite.REFERENCES)
    commands = {name: ["-m", suite.__name__, name, case] for name in competitors}
    seconds = seconds_in_turn(commands, rounds, RUN_TIMEOUT_S)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = paired_ratios(seconds, "tfpar")
    row = {**suite.row(case, medians), "seconds": medians["tfpar"], "ratio": {name: ratios[name] for name in peers}}
    said = ", ".join(f"{name} {ratio:.2f}" for name, ratio in row["ratio"].items())
    print(f"{row['case']}: {1e3 * row['seconds']:.1f} ms; peers' time over ours: {said}", file=sys.stderr, flush=True)
    return row
