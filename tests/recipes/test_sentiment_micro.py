"""recipes/sentiment.py --target micro: a file for the chip and a table for the host answer together."""

import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tfpar
from tfpar.errors import UserError

pytestmark = pytest.mark.slow

FLAGS = "--smoke --noxla --target micro --export saved_model,int8 --max_tokens 12 --pooling attention".split()


@pytest.fixture(scope="module")
def left(runner, tmp_path_factory):
    """(directory, result, stderr)."""
    directory = tmp_path_factory.mktemp("micro") / "out"
    run = runner(*FLAGS, "--export_dir", directory)
    return directory, run.result, run.stderr


def test_the_report(left):
    directory, result, stderr = left
    report = result["exports"][-1]
    assert report["form"] == "fused" and report["arena_bytes"] > 1000
    assert report["examples"] == result["examples"]["test"] and report["metrics"]["accuracy"] > 0.3
    assert report["micro_max_abs_error"] < 0.05
    assert "no linear model of words (--wide 0)" in stderr
    manifest = json.loads((directory / "manifest.json").read_text())
    names = {entry["path"] for entry in manifest["files"]}
    assert {"model.int8.tflite", "model.int8.cc", "model.int8.h", manifest["embedding"]} < names
    (given,) = manifest["signatures"]["int8"]["serving_default"]["inputs"]
    assert given["name"] == "embedded" and given["shape"] == [1, 12, np.load(directory / "embedding.npy").shape[1]]
    assert re.search(rf"arena\s+of {report['arena_bytes']:,} bytes", (directory / "card.md").read_text())


@pytest.mark.parametrize("text", ["a gripping film", "", "a dull plot with sad actors " * 9])
def test_host_and_file_answer_for_texts(left, text):
    directory, *_ = left
    found = tfpar.tasks.text_classification.TextPredictor(tfpar.export.Bundle(directory), "int8")(text)["probabilities"]
    tokenizer = tfpar.tasks.text_classification.Tokenizer.load(directory / "tokenizer.json")
    (tokens,) = tokenizer.encode([text], 12)
    tokens = np.pad(tokens, (0, 12 - len(tokens)))[None].astype(np.int32)
    saved = tf.saved_model.load(str(directory / "saved_model")).signatures["serving_default"]
    expected = saved(tokens=tf.constant(tokens))["probabilities"].numpy()[0]
    np.testing.assert_allclose(list(found.values()), expected, atol=0.03)


def test_a_table_that_is_gone(left, tmp_path):
    directory = shutil.copytree(left[0], tmp_path / "copy")
    (directory / "embedding.npy").unlink()
    with pytest.raises(UserError, match="embedding.npy"):
        tfpar.tasks.text_classification.TextPredictor(tfpar.export.Bundle(directory), "int8")
