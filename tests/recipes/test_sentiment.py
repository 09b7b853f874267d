"""recipes/sentiment.py: what it prints, whatever it is told to train."""

import json
import resource

import pytest

KEYS = {
    "recipe", "dataset", "cell", "strategy", "replicas", "xla", "examples", "metrics", "train_seconds",
    "examples_per_second", "epochs", "skipped_steps", "compilations", "padding_fraction", "weights_abs_sum", "exports",
}  # fmt: skip

SMOKE = ("--smoke", "--noxla", "--buckets", 2)  # of two lengths, so that nothing may rely on a fixed one


def test_help_comes_at_once(sentiment_process):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run = sentiment_process("--help")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1.5
    assert "--[no]xla" in run.stdout and "--pooling" in run.stdout and "Sentiment of short texts" in run.stdout
    assert "Traceback" not in run.stderr


def test_one_json_object_on_stdout_and_all_else_on_stderr(sentiment_smoke):
    stdout, stderr = ((sentiment_smoke / name).read_text() for name in ("stdout", "stderr"))
    result = json.loads(stdout)
    assert stdout == json.dumps(result) + "\n"
    assert "strategy: one" in stderr and "exporting float32" in stderr
    assert KEYS <= set(result)
    assert (result["recipe"], result["dataset"], result["cell"]) == ("sentiment", "generated", "lstm")
    assert (result["strategy"], result["replicas"], result["xla"]) == ("one", 1, False)
    assert result["examples"] == {"train": 64, "validation": 16, "test": 16}
    assert set(result["metrics"]) >= {"accuracy", "loss"} and 0 <= result["metrics"]["accuracy"] <= 1
    assert (result["epochs"], result["compilations"]) == (1, 0)
    assert 0 < result["padding_fraction"] < 1
    assert min(result[name] for name in ("train_seconds", "examples_per_second", "weights_abs_sum")) > 0

    export_dir = sentiment_smoke / "export"
    saved_model, float32, _ = result["exports"]
    assert saved_model["path"] == str(export_dir / "saved_model") and saved_model["bytes"] > 0
    assert set(float32) >= {
        "form",
        "form_reason",
        "signatures",
        "format",
        "path",
        "bytes",
        "ops",
        "max_abs_error",
        "metrics",
        "latency_ms",
    }
    assert float32["path"] == str(export_dir / "model.float32.tflite")
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in float32["ops"] and float32["max_abs_error"] <= 1e-5
    assert float32["metrics"]["accuracy"] == pytest.approx(result["metrics"]["accuracy"])
    left = {path.name for path in export_dir.iterdir()}
    assert left >= {"saved_model", "model.float32.tflite", "labels.txt", "tokenizer.json", "manifest.json", "card.md"}
    manifest = json.loads((export_dir / "manifest.json").read_text())
    assert {"files", "signatures", "metrics", "exports", "versions"} <= set(manifest)


def test_a_smoke_run_leaves_nothing_unless_told_to(smoke, sentiment):
    assert smoke["exports"] == []
    assert not list(sentiment.directory.iterdir())


@pytest.fixture(scope="module")
def smoke(runner):
    """The result of the plain smoke run, without XLA."""
    return runner(*SMOKE).result


def test_two_replicas_train_the_same_weights_as_one(smoke, sentiment):
    result = sentiment(*SMOKE, "--strategy", "mirrored", "--replicas", 2).result
    assert (result["strategy"], result["replicas"], result["xla"]) == ("mirrored", 2, False)
    assert result["weights_abs_sum"] == pytest.approx(smoke["weights_abs_sum"], rel=1e-5)
    assert result["metrics"]["loss"] == pytest.approx(smoke["metrics"]["loss"], rel=1e-4)
    assert result["compilations"] == 0


@pytest.mark.slow
def test_two_replicas_train_the_same_weights_as_one_under_xla(sentiment_process):
    flags = ("--smoke", "--nobidirectional")  # half as much to compile
    one = sentiment_process(*flags).result  # programs are counted from TensorFlow's start: no forks
    assert (one["strategy"], one["xla"]) == ("one", True)
    two = sentiment_process(*flags, "--strategy", "mirrored", "--replicas", 2).result
    assert (two["strategy"], two["replicas"], two["xla"]) == ("mirrored", 2, True)
    assert two["weights_abs_sum"] == pytest.approx(one["weights_abs_sum"], rel=1e-5)
    assert two["metrics"]["loss"] == pytest.approx(one["metrics"]["loss"], rel=1e-4)
    # One length of sequence: forward and backward, the update, and evaluation; a program each on every replica.
    assert (one["compilations"], two["compilations"]) == (3, 6)


@pytest.mark.slow
def test_another_seed_trains_other_weights(smoke, sentiment):
    result = sentiment(*SMOKE, "--seed", 2).result
    assert result["weights_abs_sum"] != pytest.approx(smoke["weights_abs_sum"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        "--cell gru --pooling attention --members 2 --accumulate_steps 2",
        "--cell rnn --pooling last --layers 2 --precision mixed_bfloat16 --clip_norm 0 --ema 0",
        "--pooling mean --nobidirectional --token_scores 0 --recurrent_dropout 0.3 --weight_decay 0.01",
        "--pretrain autoencoder",
    ],
)
def test_what_can_be_trained(sentiment, flags):
    result = sentiment("--smoke", "--noxla", *flags.split()).result
    assert result["cell"] == ("gru" if "gru" in flags else "rnn" if "rnn" in flags else "lstm")
    assert 0 < result["metrics"]["loss"] < 2
    assert not sentiment.directory.joinpath("exports").exists()
