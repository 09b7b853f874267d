"""Plots for the cards of networks that compare faces."""

from pathlib import Path

import numpy as np

from tfpar.export.report.plots import new_figure
from tfpar.tasks.face_recognition.verification import equal_error_rate, error_rates


def draw_roc(genuine: np.ndarray, impostor: np.ndarray, threshold: float, path: Path) -> None:
    """Draw the ROC curve and the histograms of cosines as a PNG.

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
    curve.set(xlabel="two people taken for one", ylabel="one person recognized", title="ROC")
    curve.grid(alpha=0.3)
    curve.legend()
    for cosines, label in ((genuine, "one person"), (impostor, "two people")):
        spread.hist(cosines, bins=40, density=True, alpha=0.6, label=label)
    spread.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3f}")
    spread.set(xlabel="cosine", ylabel="density of pairs")
    spread.legend()
    figure.savefig(path)
