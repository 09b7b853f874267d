"""`tfpar bench SUITE`: times tfpar against its peers."""

import importlib.util
import json
import statistics
import sys
from pathlib import Path

from tfpar.bench import training
from tfpar.bench.machine import describe_machine
from tfpar.bench.stopwatch import paired_ratios, seconds_in_turn
from tfpar.cli.arguments import Parser
from tfpar.errors import MissingExtraError, UserError
from tfpar.files import written_atomically

SUITES = ("training",)


def main(arguments: list[str]) -> None:
    """Prints a table, and writes `{"machine", "rows"}` as JSON if asked."""
    parser = Parser(prog="tfpar bench", description="Times tfpar against its peers, in turn, in fresh processes.")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--peers", default="keras,torch", help="comma-separated: keras, torch")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each competitor")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(arguments)
    peers = _checked_peers(options.peers)
    rows = [_training_row(model, peers, options.rounds) for model in training.MODELS]
    report = {"machine": describe_machine(), "rows": rows}
    if options.json:
        with written_atomically(options.json) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report))


def _checked_peers(text):
    peers = [name for name in text.split(",") if name]
    for name in peers:
        if name == "tfpar" or name not in training.COMPETITORS:
            raise UserError(f"--peers must list some of keras, torch; got {name!r}")
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, "bench", "as a peer")
    return peers


def _training_row(model_name, peers, rounds):
    print(f"training {model_name}: tfpar against {', '.join(peers)}", file=sys.stderr, flush=True)
    commands = {name: ["-m", "tfpar.bench.training", name, model_name] for name in ("tfpar", *peers)}
    seconds = seconds_in_turn(commands, rounds, timeout_s=600)
    ours = statistics.median(seconds["tfpar"])
    row = {
        "case": f"{model_name} E{training.EMBEDDING} H{training.UNITS} B{training.BATCH}, one epoch",
        "seconds": ours,
        "examples_per_second": training.EXAMPLES / ours,
        "ratio": paired_ratios(seconds, "tfpar"),
    }
    print(f"  {row['examples_per_second']:,.0f} examples/s; peer's time over ours: {row['ratio']}", file=sys.stderr)
    return row
