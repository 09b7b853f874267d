"""Writes the model card of an export: model, data, and the results of each file."""

from pathlib import Path

from tfpar.export.report.refusals import describe_notes, describe_row, is_refused

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
{notes}{micro}
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

_MICRO = """
`{source}` and `{header}` contain the {format} file as a C array. Its accuracy was measured in TFLite Micro on
{examples:,} test examples; there its outputs differ from Keras by at most {micro_max_abs_error:.1e}, and it needs an
arena of {arena_bytes:,} bytes.{host}
An 8-bit input stores x as round(x / scale) + zero_point; both are in
`manifest.json`.
"""

_EMBEDDING = "\nIts input is the row of `{}` for each token, and zeros after the last token."
_FRONT_END = (
    "\nIts input is the output of `{path}`, also a C array, which processes audio in float32 in an arena of "
    "{arena_bytes:,} bytes."
)


def write_card(path: Path, manifest: dict, sections: dict[str, str]) -> None:
    """Write the card.

    Args:
        path: of the card.
        manifest: of the export.
        sections: "input", "pictures", "use" and "limits", from the task.
    """
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in manifest["metrics"].items())
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    reports = manifest["exports"]
    metric = next((name for report in reports for name in report.get("metrics", ())), "accuracy")
    fields = {**manifest, **sections, "metrics": metrics, "versions": versions, "metric": metric}
    rows, micro = "\n".join(map(_row, reports)), "".join(_micro(report, manifest) for report in reports)
    content = _CARD.format(**fields, rows=rows, micro=micro, notes=describe_notes(reports))
    path.write_text(content, encoding="utf-8")


def _row(report):
    if is_refused(report):
        return describe_row(report, 5)
    if "metrics" not in report:
        return f"| {report['format']} | {report['bytes']:,} | | | |"
    (value,) = report["metrics"].values()
    return (
        f"| {report['format']} | {report['bytes']:,} | {value:.4f} | "
        f"{report['max_abs_error']:.1e} | {report['latency_ms']['median']:.2f} ms |"
    )


def _micro(report, manifest):
    if "c_array" not in report:
        return ""
    source, header = report["c_array"]
    host = _EMBEDDING.format(manifest["embedding"]) if "embedding" in manifest else ""
    if "front_end" in manifest:
        host = _FRONT_END.format(**manifest["front_end"])
    return _MICRO.format(**report, source=source, header=header, host=host)
