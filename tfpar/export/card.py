"""The card of an exported model: what it is, what it was trained on, how well each file does."""

from pathlib import Path

_CARD = """# {name}

{summary}

Classes: {classes}. Input: at most {sequence_length} tokens; longer texts are cut.

## Data

{data}

Split: {split}

{notice}

## Results on the test set

Keras: {metrics}.

| format | bytes | accuracy | largest difference to Keras | median latency, batch 1 |
|---|---|---|---|---|
{rows}
{micro}
![learning curve](learning_curve.png)

![confusion matrix](confusion_matrix.png)

## Made by

    {command}

Training took {train_seconds:.0f} s with {versions}.

## Use

    tfpar predict . "a text"

`tokenizer.json` turns text into token ids (0 is padding, at the right), `labels.txt` names the classes. The TFLite
files forget between runs: no variable has to be reset.

## Limits

It knows the language and the kind of text that it was trained on, and gives a confident answer for any other too.
"""

_MICRO = """
`{source}` and `{header}` hold the {format} file as a C array. It runs in TFLite Micro, where its accuracy was
measured on {examples:,} test texts; there it differs from Keras by {micro_max_abs_error:.1e} at most, and needs an
arena of {arena_bytes:,} bytes. It takes, of each token, the row of `{embedding}`; behind the last token, zeros. An
8-bit input stores x as round(x / scale) + zero_point; both are in `manifest.json`.
"""


def write_card(path: Path, manifest: dict, class_names: tuple[str, ...]) -> None:
    """Writes the card from a manifest's facts."""
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in manifest["metrics"].items())
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    fields = {**manifest, "metrics": metrics, "versions": versions, "classes": ", ".join(class_names)}
    rows, micro = "\n".join(map(_row, manifest["exports"])), "".join(_micro(r, manifest) for r in manifest["exports"])
    path.write_text(_CARD.format(**fields, rows=rows, micro=micro), encoding="utf-8")


def _row(report):
    if "metrics" not in report:
        return f"| {report['format']} | {report['bytes']:,} | | | |"
    return (
        f"| {report['format']} | {report['bytes']:,} | {report['metrics']['accuracy']:.4f} | "
        f"{report['max_abs_error']:.1e} | {report['latency_ms']['median']:.2f} ms |"
    )


def _micro(report, manifest):
    if "c_array" not in report:
        return ""
    source, header = report["c_array"]
    return _MICRO.format(**report, source=source, header=header, embedding=manifest["embedding"])
