"""The card of an exported model: what it is, what it was trained on, how well each file does."""

from pathlib import Path

_CARD = """# {name}

{summary}

{input}

## Data

{data}

Split: {split}

{notice}

## Results on the test set

Keras: {metrics}.

| format | bytes | {metric} | largest difference to Keras | median latency, batch 1 |
|---|---|---|---|---|
{rows}

![learning curve](learning_curve.png)

{pictures}

## Made by

    {command}

Training took {train_seconds:.0f} s with {versions}.

## Use

{use}

## Limits

{limits}
"""


def write_card(path: Path, manifest: dict, words: dict[str, str]) -> None:
    """Writes the card.

    Args:
        path: of the card.
        manifest: its facts.
        words: "input", "pictures", "use" and "limits", by the task.
    """
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in manifest["metrics"].items())
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    metric = next((name for report in manifest["exports"] for name in report.get("metrics", ())), "accuracy")
    fields = {**manifest, **words, "metrics": metrics, "versions": versions, "metric": metric}
    path.write_text(_CARD.format(**fields, rows="\n".join(map(_row, manifest["exports"]))), encoding="utf-8")


def _row(report):
    if "metrics" not in report:
        return f"| {report['format']} | {report['bytes']:,} | | | |"
    (value,) = report["metrics"].values()
    return (
        f"| {report['format']} | {report['bytes']:,} | {value:.4f} | "
        f"{report['max_abs_error']:.1e} | {report['latency_ms']['median']:.2f} ms |"
    )
