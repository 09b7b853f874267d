"""The card of an exported translator."""

from pathlib import Path

from tfpar.export.report.refusals import describe_notes, describe_row, is_refused

_CARD = """# {name}

{summary}

## Data

{data}

Split: {split}

{notice}

## Results on the test set

Keras: {metrics}. BLEU: {bleu_signature}. chrF: {chrf_signature}.

| words of the reference | sentences | BLEU |
|---|---|---|
{lengths}

Files, greedy, on an even sample of the test set:

| format | bytes | BLEU | equal to Keras' | largest difference to Keras | median latency of the encoder |
|---|---|---|---|---|---|
{rows}
{notes}
| source | translation | reference |
|---|---|---|
{samples}

![learning curve](learning_curve.png)

## Made by

    {command}

Training took {train_seconds:.0f} s with {versions}.

## Use

    tfpar predict . "a sentence"

Each file has two signatures, `encode` and `decode_step`; states and the attention's memory go from one to the other.
`tokenizer.json` turns text into subword ids (0 is padding, 2 begins and 3 ends a translation) and back.

## Limits

It knows sentences like those that it was trained on, and translates everything else, too, with the same confidence.
"""


def write_translator_card(path: Path, manifest: dict, samples: list[tuple[str, str, str]]) -> None:
    """Write the card from a manifest's facts; `samples` are (source, translation, reference)."""
    scoring = manifest["scoring"]
    fields = {
        **manifest,
        "metrics": ", ".join(f"{name} {value:.2f}" for name, value in manifest["metrics"].items()),
        "versions": ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
        "bleu_signature": scoring["bleu"],
        "chrf_signature": scoring["chrf"],
        "lengths": "\n".join(
            f"| {name} | {of['sentences']:,} | {of['bleu']:.1f} |" for name, of in scoring["by_length"].items()
        ),
        "notes": describe_notes(manifest["exports"]),
        "rows": "\n".join(map(_row, manifest["exports"])),
        "samples": "\n".join("| " + " | ".join(map(_cell, sample)) + " |" for sample in samples),
    }
    path.write_text(_CARD.format(**fields), encoding="utf-8")


def _row(report):
    if is_refused(report):
        return describe_row(report, 6)
    if "metrics" not in report:
        return f"| {report['format']} | {report['bytes']:,} | | | | |"
    return (
        f"| {report['format']} | {report['bytes']:,} | {report['metrics']['bleu']:.2f} | {report['identical']} of "
        f"{report['sentences']} | {report['max_abs_error']:.1e} | {report['latency_ms']['median']:.2f} ms |"
    )


def _cell(text):
    return text.replace("|", "\\|").replace("\n", " ")
