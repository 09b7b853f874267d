"""The card of an exported recogniser."""

from pathlib import Path

_CARD = """# {name}

{summary}

Says: {classes}. Input: {samples} samples at {rate_hz} Hz, one channel, between -1 and 1.

## Data

{data}

Split: {split}

{notice}

## Results on the test set

Keras: {metrics}.

| format | bytes | accuracy | largest difference to Keras | median latency, batch 1 |
|---|---|---|---|---|
{rows}

![learning curve](learning_curve.png)

## Made by

    {command}

Training took {train_seconds:.0f} s with {versions}.

## Use

    tfpar predict . a.wav

`labels.txt` names the classes. The front end is inside: give raw audio, without silence at the ends and in the middle
of zeros, as `tfpar predict` does. In the int8 file the front end computes in float32: powers span more than 8 bits.

## Limits

It knows these words alone, and gives one of them for any other sound too. If it was trained on synthesised voices, its
accuracy on people is lower than the one above.
"""


def write_speech_card(path: Path, manifest: dict, class_names: tuple[str, ...]) -> None:
    """Writes the card from a manifest's facts."""
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in manifest["metrics"].items())
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    fields = {**manifest, "metrics": metrics, "versions": versions, "classes": ", ".join(class_names)}
    path.write_text(_CARD.format(**fields, rows="\n".join(map(_row, manifest["exports"]))), encoding="utf-8")


def _row(report):
    if "metrics" not in report:
        return f"| {report['format']} | {report['bytes']:,} | | | |"
    return (
        f"| {report['format']} | {report['bytes']:,} | {report['metrics']['accuracy']:.4f} | "
        f"{report['max_abs_error']:.1e} | {report['latency_ms']['median']:.2f} ms |"
    )
