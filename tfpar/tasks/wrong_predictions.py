"""Plots for the cards of image classifiers."""

from pathlib import Path

import numpy as np

from tfpar.export.report.plots import new_figure

_COLUMNS, _DRAWN_AT_MOST = 8, 40


def draw_wrong_predictions(
    images: np.ndarray, labels: np.ndarray, predictions: np.ndarray, class_names: tuple[str, ...], path: Path
) -> None:
    """Draw the first misclassified images, with label and prediction, as a PNG.

    Args:
        images: uint8 (examples, height, width, channels).
        labels: int (examples,), true classes.
        predictions: int (examples,), predicted classes.
        class_names: by class.
        path: of the picture.
    """
    wrong = np.flatnonzero(labels != predictions)
    drawn = wrong[:_DRAWN_AT_MOST]
    rows = max(1, -(-len(drawn) // _COLUMNS))
    figure = new_figure(1.4 * _COLUMNS, 1.7 * rows + 0.5)
    figure.suptitle(f"{len(wrong)} of {len(labels)} wrong: truth → prediction")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, index in zip(grid, drawn, strict=False):
        axes.imshow(images[index].squeeze(), cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"{class_names[labels[index]]} → {class_names[predictions[index]]}", fontsize=8)
    figure.savefig(path)
