"""Pictures for the cards of networks for images."""

from pathlib import Path

import numpy as np

from tfpar.export.pictures import new_figure
from tfpar.export.verification import equal_error_rate, error_rates

_COLUMNS, _DRAWN_AT_MOST = 8, 40


def draw_wrong_predictions(
    images: np.ndarray, labels: np.ndarray, answers: np.ndarray, class_names: tuple[str, ...], path: Path
) -> None:
    """Draws images whose class was not found, with truth and answer, as a PNG; of many, the first ones.

    Args:
        images: uint8 (examples, height, width, channels).
        labels: int (examples,), true classes.
        answers: int (examples,), predicted classes.
        class_names: by class.
        path: of the picture.
    """
    wrong = np.flatnonzero(labels != answers)
    drawn = wrong[:_DRAWN_AT_MOST]
    rows = max(1, -(-len(drawn) // _COLUMNS))
    figure = new_figure(1.4 * _COLUMNS, 1.7 * rows + 0.5)
    figure.suptitle(f"{len(wrong)} of {len(labels)} wrong: truth → answer")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, index in zip(grid, drawn, strict=False):
        axes.imshow(images[index].squeeze(), cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"{class_names[labels[index]]} → {class_names[answers[index]]}", fontsize=8)
    figure.savefig(path)


def draw_roc(genuine: np.ndarray, impostor: np.ndarray, threshold: float, path: Path) -> None:
    """Draws how the two errors trade against each other, and how cosines are spread, as a PNG.

    Args:
        genuine: float (pairs,), cosines of pairs of one person.
        impostor: float (pairs,), of two.
        threshold: that decides.
        path: of the picture.
    """
    figure = new_figure(9, 3.8)
    curve, spread = figure.subplots(1, 2)
    _, rejected, accepted = error_rates(genuine, impostor)
    rate, _ = equal_error_rate(genuine, impostor)
    curve.plot(accepted, 1 - rejected)
    curve.plot([0, 1], [1, 0], linestyle=":", color="gray")
    curve.plot([rate], [1 - rate], "o", label=f"equal error rate {rate:.3f}")
    curve.set(xlabel="two people taken for one", ylabel="one person recognised", title="ROC")
    curve.grid(alpha=0.3)
    curve.legend()
    for cosines, label in ((genuine, "one person"), (impostor, "two people")):
        spread.hist(cosines, bins=40, density=True, alpha=0.6, label=label)
    spread.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3f}")
    spread.set(xlabel="cosine", ylabel="density of pairs")
    spread.legend()
    figure.savefig(path)
