"""Threshold of a face export, set in a copy from pairs of the user's pictures."""

from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle, write_bundle
from tfpar.tasks.face_recognition.predict import CALIBRATION
from tfpar.tasks.face_recognition.verification import equal_error_rate, error_rates

EQUAL_ERROR_RATE, FALSE_ACCEPT_RATE = "equal_error_rate", "false_accept_rate"
_CARD = """
## Threshold set on own pictures

The threshold of the cosine is now {threshold:.4f}, which replaces the one above: rule {rule}, {same} pairs of one
person and {different} pairs of two, file {format}. On these pairs {false_reject_rate:.4f} of the former are rejected
and {false_accept_rate:.4f} of the latter accepted.
"""


def check_rule(rule: str) -> None:
    """Raise UserError unless `rule` is "equal_error_rate" or "false_accept_rate=RATE"."""
    _rate(rule)


def choose_threshold(rule: str, genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Return the threshold that a rule gives.

    Args:
        rule: "equal_error_rate"; or "false_accept_rate=RATE": the smallest threshold that accepts no larger share of
            the impostor pairs.
        genuine, impostor: float (pairs,), cosines of pairs of one person and of two.

    Raises:
        UserError: the rule is none of these, or there are too few pairs for it.
    """
    rate = _rate(rule)
    if rate is None:
        return equal_error_rate(genuine, impostor)[1]
    if len(impostor) * rate < 1:
        raise UserError(
            f"--set_threshold {rule} needs {int(np.ceil(1 / rate))} pairs of two people or more to be measured; got "
            f"{len(impostor)}. Give more pictures, or a larger rate"
        )
    thresholds, _, accepted = error_rates(genuine, impostor)
    allowed = np.flatnonzero(accepted <= rate)
    return float(thresholds[allowed[0]]) if len(allowed) else float(np.nextafter(thresholds[-1], np.inf))


def rates_at(threshold: float, genuine: np.ndarray, impostor: np.ndarray) -> dict[str, float]:
    """Return {"accuracy", "false_accept_rate", "false_reject_rate"} at a threshold."""
    rejected, accepted = genuine < threshold, impostor >= threshold
    wrong = np.sum(rejected) + np.sum(accepted)
    return {
        "accuracy": float(1 - wrong / (len(genuine) + len(impostor))),
        "false_accept_rate": float(np.mean(accepted)),
        "false_reject_rate": float(np.mean(rejected)),
    }


def check_copy(bundle: Bundle, output_dir: Path | str) -> None:
    """Raise UserError unless a copy of `bundle` with another threshold can be written to `output_dir`."""
    source, target = bundle.directory.resolve(), Path(output_dir).resolve()
    if bundle.is_encrypted:
        raise UserError(f"{bundle.directory} is encrypted, and a copy would not be; run tfpar unseal first")
    if target == source or source in target.parents or target in source.parents:
        raise UserError(f"--output_dir must be a new directory, apart from {bundle.directory}; got {output_dir}")
    if target.exists():
        raise UserError(f"--output_dir must be a new directory; {output_dir} exists")


def copy_with_threshold(bundle: Bundle, output_dir: Path | str, threshold: float, facts: dict) -> dict:
    """Write a copy of an export with another threshold. It is not signed, even if `bundle` is.

    Args:
        bundle: the export.
        output_dir: where the copy goes.
        threshold: the new one.
        facts: how it was set: "rule", "format", "same", "different", "false_accept_rate", "false_reject_rate".

    Returns:
        {"path", "threshold", "signed": False}.

    Raises:
        UserError: see `check_copy`.
    """
    check_copy(bundle, output_dir)
    manifest = {**bundle.manifest, "threshold": threshold, CALIBRATION: {"command": "tfpar evaluate", **facts}}
    with write_bundle(output_dir, manifest) as temporary:
        for name in bundle.manifest.files():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bundle.read(name))
        if (card := temporary / "card.md").exists():
            card.write_text(
                card.read_text(encoding="utf-8") + _CARD.format(threshold=threshold, **facts), encoding="utf-8"
            )
    return {"path": str(output_dir), "threshold": threshold, "signed": False}


def _rate(rule):
    """Return the rate of "false_accept_rate=RATE", None for "equal_error_rate"."""
    name, equals, text = rule.partition("=")
    if rule == EQUAL_ERROR_RATE:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if name != FALSE_ACCEPT_RATE or not equals or not 0 < rate < 1:
        raise UserError(
            f"--set_threshold must be {EQUAL_ERROR_RATE} or {FALSE_ACCEPT_RATE}=RATE with a rate between 0 and 1; got "
            f"{rule!r}"
        )
    return rate
