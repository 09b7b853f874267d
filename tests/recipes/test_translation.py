"""recipes/translation.py as a command."""

import json

import pytest
import sacrebleu

from tfpar.export.bundle.directory import Bundle
from tfpar.tasks.evaluation import evaluate
from tfpar.tasks.predictors import load_predictor

SENTENCES = [
    ("one cat", "un gato"),
    ("two cats", "dos gatos"),
    ("a dog", "un perro"),
    ("two dogs", "dos perros"),
    ("the sea", "el mar"),
    ("the sun", "el sol"),
    ("good day", "buen día"),
    ("good night", "buena noche"),
]


@pytest.fixture
def pairs(run_recipe):
    """A file of pairs with a header: 40 sound rows, one without a translation, one with one side empty."""
    rows = [f"{en} {number}\t{es} {number}" for number in range(5) for en, es in SENTENCES]
    path = run_recipe.directory / "pairs.tsv"
    path.write_text("\n".join(["en\tes", *rows, "lonely", "empty\t"]) + "\n", encoding="utf-8")
    return path


def test_a_run_on_a_file_of_pairs(run_recipe, pairs):
    flags = "--source_column en --target_column es --max_tokens 16 --units 8 --export float32 --export_dir out".split()
    more = "--steps 2 --embedding_size 8 --vocabulary_size 300 --buckets 1 --beam_size 2 --file_sentences 3 --noxla"
    run = run_recipe("translation", "--dataset", f"tsv:{pairs}", *flags, *more.split())
    result = run.result
    assert sum(result["examples"].values()) == 40 and result["recipe"] == "translation"
    assert {"bleu", "chrf", "bleu_greedy"} <= set(result["metrics"]) and result["target_tokens_per_second"] > 0
    assert 0 <= result["padding_fraction"] < 1 and result["scoring"]["bleu"].startswith("nrefs:1")
    assert "skipped 1 row(s)" in run.stderr
    (export,) = result["exports"]
    assert export["sentences"] == 3 and export["max_abs_error"] < 1e-5
    manifest = json.loads((run_recipe.directory / "out" / "manifest.json").read_text())
    assert manifest["task"] == "translation" and manifest["search"]["beam_size"] == 2

    bundle = Bundle(run_recipe.directory / "out")
    report = evaluate(bundle, f"tsv:{pairs}", input_column="en", label_column="es")
    predictor = load_predictor(bundle)
    lines = [line.split("\t") for line in pairs.read_text(encoding="utf-8").splitlines()[1:41]]
    translations = [predictor(source)["translation"] for source, _ in lines]
    bleu = sacrebleu.BLEU().corpus_score(translations, [[target for _, target in lines]]).score
    assert report["examples"] == 40 and len(report["unreadable"]) == 2
    assert report["metrics"]["bleu"] == pytest.approx(bleu) and report["metrics"]["chrf"] >= 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--dataset tsv:absent.tsv", "absent.tsv"),
        ("--dataset tsv:pairs.tsv --source_column fr", "fr"),
        ("--units 12 --smoke", "--units"),
        ("--attention self", "--attention"),
    ],
)
def test_refusals(run_recipe, pairs, flags, words):
    assert words in run_recipe("translation", *flags.split(), "--export_dir", "out").error
    assert not (run_recipe.directory / "out").exists()
