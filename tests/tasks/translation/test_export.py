"""A translator leaves as encoder and decoder in one file, and translates as the Keras model does."""

import json
import subprocess
import sys

import numpy as np
import pytest

import tfpar
from tfpar import data
from tfpar.export.conversion.serving import ServingModel
from tfpar.tasks import translation
from tfpar.tasks.translation import export as translator

SEARCH = {"begin_id": 2, "end_id": 3, "beam_size": 3, "max_length": 12, "length_penalty": 0.6, "coverage_penalty": 0.0}


@pytest.fixture(scope="module")
def export():
    pairs = translation.generate_translation(seed=0)
    tokenizer = translation.SubwordTokenizer.train([*pairs.train.sources, *pairs.train.targets], vocabulary_size=300)
    models = tfpar.models.sequence_to_sequence(vocabulary_size=tokenizer.vocabulary_size, units=8, embedding_size=6)
    sources = pairs.test.sources[:6]
    decoder = tfpar.models.Decoder(models, **{**SEARCH, "beam_size": 1}, jit_compile=False)
    answers = [None] * len(sources)
    for places, padded in data.padded_batches(tokenizer.encode(sources, 12), batch_size=6):
        for place, best in zip(places, decoder(padded)[0].numpy()[:, 0], strict=True):
            answers[place] = tokenizer.decode(best)
    return tfpar.tasks.translation.TranslatorExport(
        encoder=models.encoder,
        decoder_step=models.decoder_step,
        tokenizer=tokenizer,
        search=SEARCH,
        calibration=(tokenizer.encode(pairs.train.sources[:8], 12), tokenizer.encode(pairs.train.targets[:8], 12)),
        sources=sources,
        references=pairs.test.targets[:6],
        predictions=answers,
        score=lambda translations: {
            "bleu": 100 * np.mean([a == b for a, b in zip(translations, answers, strict=True)])
        },
        history={"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]},
        facts={
            "name": "translation",
            "summary": "A summary.",
            "data": "Data.",
            "split": "A split.",
            "notice": "A license.",
            "command": "python recipes/translation.py",
            "metrics": {"bleu": 1.0, "chrf": 2.0},
            "scoring": {"bleu": "s", "chrf": "s", "by_length": {"1-4 words": {"sentences": 6, "bleu": 1.0}}},
            "train_seconds": 1.0,
            "versions": tfpar.export.read_versions(),
        },
    )


@pytest.fixture(scope="module")
def directory(export, tmp_path_factory):
    path = tmp_path_factory.mktemp("translator") / "export"
    export.write(path, ("saved_model", "float32"))
    return path


def test_the_file_translates_as_keras_does(directory, export):
    manifest = json.loads((directory / "manifest.json").read_text())
    (report,) = [entry for entry in manifest["exports"] if entry["format"] == "float32"]
    assert report["identical"] == report["sentences"] == 6 and report["max_abs_error"] < 1e-5
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in report["ops"] and "WHILE" not in report["ops"]
    assert sorted(manifest["signatures"]["float32"]) == ["decode_step", "encode"]


def run_command(*arguments):
    """Run a `tfpar` command in a process of its own, which may fork; return what it prints."""
    command = [sys.executable, "-m", "tfpar", *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_prediction(directory, export, tmp_path):
    texts = [export.sources[0], "", "unknown \U0001f600 words"]
    first, empty, unknown = run_command("predict", directory, *texts, "--attention", tmp_path / "a.png")["predictions"]
    assert len(first["n_best"]) == 3 and first["translation"] == first["n_best"][0]["translation"]
    assert empty["translation"] == "" and isinstance(unknown["translation"], str)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_verification(directory):
    assert run_command("verify", directory)["ran"] == ["model.float32.tflite"]


def test_saved_model_has_both_signatures(directory, export):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(directory / "saved_model"))
    source = np.array([[5, 6, 7], [8, 9, 0]], np.int32)
    found = loaded.signatures["encode"](source=source)
    expected = ServingModel(export.encoder).outputs({"source": source})
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-5)
    assert "decode_step" in loaded.signatures


def test_worse_translations_are_refused(export, tmp_path, monkeypatch):
    monkeypatch.setattr(translator.Translator, "translate", lambda self, text: [type("T", (), {"text": "?"})])
    (report,) = export.write(tmp_path / "export", ("float32",))
    assert "the float32 file's translations have a BLEU of 0.00, the Keras model's 100.00" in report["refused"]
    written = {path.name for path in (tmp_path / "export").iterdir()}
    assert "model.float32.tflite" not in written and {"encode.keras", "decode_step.keras"} <= written
