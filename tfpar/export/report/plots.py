"""Plots of a training run, for the model card."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpar.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_learning_curve(history: dict[str, list[float]], path: Path) -> None:
    """Plot loss and, if measured, accuracy by epoch, for training and validation, as a PNG.

    Args:
        history: `keras.callbacks.History.history`.
        path: of the PNG.
    """
    metrics = [name for name in ("loss", "accuracy") if name in history]
    figure = new_figure(4.5 * len(metrics), 3.5)
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for name, label in ((metric, "training"), (f"val_{metric}", "validation")):
            values = history.get(name, [])
            axes.plot(range(1, len(values) + 1), values, marker="o", label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path)


def draw_confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, class_names: tuple[str, ...], path: Path
) -> None:
    """Plot a confusion matrix as a PNG.

    Args:
        labels: int (examples,), true classes.
        predictions: int (examples,), predicted classes.
        class_names: by class.
        path: of the PNG.
    """
    counts = np.zeros((len(class_names), len(class_names)), int)
    np.add.at(counts, (labels, predictions), 1)
    size = 2.5 + 0.6 * len(class_names)
    figure = new_figure(size + 1, size)
    axes = figure.subplots()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for (true, predicted), count in np.ndenumerate(counts):
        fraction = fractions[true, predicted]
        color = "white" if fraction > 0.5 else "black"
        axes.text(predicted, true, f"{count}\n{fraction:.0%}", ha="center", va="center", color=color)
    ticks = range(len(class_names))
    axes.set(xlabel="prediction", ylabel="true class")
    axes.set_xticks(ticks, class_names, rotation=45 if len(class_names) > 4 else 0)
    axes.set_yticks(ticks, class_names)
    figure.colorbar(image, label="fraction of the true class")
    figure.savefig(path, bbox_inches="tight")


def draw_alignment(source: list[str], target: list[str], alignment: np.ndarray, path: Path) -> None:
    """Plot the attention weights of a translation as a PNG.

    Args:
        source, target: the tokens.
        alignment: float (target tokens, source tokens), in [0, 1].
        path: of the PNG.
    """
    figure = new_figure(1.5 + 0.45 * len(source), 1.2 + 0.35 * len(target))
    axes = figure.subplots()
    axes.imshow(alignment, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(source)), source, rotation=60, ha="right")
    axes.set_yticks(range(len(target)), target)
    figure.savefig(path)


def new_figure(width_in: float, height_in: float, extra: str = "recipes") -> "Figure":
    """Make an empty Matplotlib figure.

    Args:
        width_in, height_in: in inches.
        extra: of tfpar that contains Matplotlib, for errors.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", extra, "for plots") from error
    return Figure((width_in, height_in), dpi=100, layout="constrained")
