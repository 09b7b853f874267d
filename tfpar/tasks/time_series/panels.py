"""The panel that the settings of a run describe."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.console import log
from tfpar.tasks.time_series.panel import Panel
from tfpar.tasks.time_series.scaling import Scaling


def log_constant_columns(scaling: Scaling, names: Sequence[str]) -> None:
    """Log the columns that are constant in training, from which nothing can be learned."""
    for index in scaling.constant:
        log(f"the column {names[index]!r} is constant in training; nothing can be learned from it")


def describe_table(panel: Panel, reading: dict[str, str]) -> dict[str, Any]:
    """Describe for a manifest how tables like the panel's are read; see `series_files.TableFormat`.

    Args:
        panel: of the training data.
        reading: {"time_format", "delimiter"} of its file, or {}.
    """
    columns = {"time_column": panel.time_column, "id_column": panel.id_column}
    return columns | reading | {"grid": dataclasses.asdict(panel.grid)}


def reading_of(config: Any) -> dict[str, str]:
    """Return what `describe_table` needs of a `TimeSeriesConfig`."""
    return {"time_format": config.time_format, "delimiter": config.delimiter}


def _check_static(panel: Panel) -> None:
    """Refuse a static column that changes within a series."""
    first = len(panel.columns) - panel.static
    for index in range(first, len(panel.columns)):
        values, begins = panel.values[:, index], panel.offsets[:-1]
        changes = np.fmin.reduceat(values, begins) < np.fmax.reduceat(values, begins)
        if changes.any():
            name = panel.ids[int(np.argmax(changes))]
            within = f"series {name!r}" if name else "the series"
            raise UserError(
                f"{panel.where}: the column {panel.columns[index]!r} of --static_columns changes within {within}; give "
                "it by --known_columns if it is known ahead, else by --past_columns"
            )


def load_configured_panel(config: Any) -> Panel:
    """Load the panel of a `TimeSeriesConfig`, or generate one for a smoke run.

    Raises:
        UserError: see `load_panel`.
    """
    if config.smoke:
        from tfpar.tasks.time_series.synthetic import generate_panel

        return generate_panel(seed=config.seed)
    from tfpar.tasks.time_series.load_panel import load_panel
    from tfpar.tasks.time_series.panel_tables import PanelColumns

    columns = PanelColumns(
        time=config.time_column,
        targets=config.target_columns,
        past=config.past_columns,
        known=config.known_columns,
        static=config.static_columns,
        series=config.id_column,
        label=config.label_column,
        split=config.split_column,
        time_format=config.time_format,
    )
    panel = load_panel(config.dataset, columns, encoding=config.encoding, delimiter=config.delimiter)
    _check_static(panel)
    if panel.filled:
        fraction = panel.filled / len(panel.values)
        log(f"{panel.filled:,} step(s) are missing in {panel.where}, {fraction:.1%} of all; they are masked")
    return panel
