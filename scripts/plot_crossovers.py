"""Plots a table of crossovers: the time of a loop over that of the parallel evaluation, by number of steps.

Usage: python scripts/plot_crossovers.py TABLE.json PLOT.png [DEVICE]

`tfpar bench scan --store_crossovers TABLE.json` measures the table.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tfpar.export.report.plots import new_figure


def main(table: str, plot: str, device: str = "CPU") -> None:
    """Write the plot of a device."""
    entry = json.loads(Path(table).read_text())[device]
    if "seconds" not in entry:
        sys.exit(f"{table} has no seconds for {device}; measure them by `tfpar bench scan --store_crossovers {table}`")
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for cell, seconds in entry["seconds"].items():
        axes.plot([int(time) for time in seconds], [loop / scan for loop, scan in seconds.values()], "o-", label=cell)
    axes.axhline(1, color="gray", linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="time of a loop / time in parallel")
    axes.set_title(f"{device}, {entry['machine']['processor']}", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(plot)


if __name__ == "__main__":
    main(*sys.argv[1:])
