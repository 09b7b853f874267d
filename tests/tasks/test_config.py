"""Settings of a run: defaults that depend on each other, and checks."""

import pytest

from tfpar.tasks.config import FORMATS, Config
from tfpar.tasks.image_classification import ImageClassificationConfig
from tfpar.tasks.runner import describe_call, summarize
from tfpar.tasks.speech_recognition import SpeechRecognitionConfig
from tfpar.tasks.startup import formats_to_export
from tfpar.tasks.text_classification import TextClassification, TextClassificationConfig
from tfpar.tasks.translation import TranslationConfig


def test_defaults_depend_on_other_settings():
    assert ImageClassificationConfig().epochs == 50
    assert ImageClassificationConfig(model="row_lstm").epochs == 120
    assert ImageClassificationConfig(model="row_lstm", epochs=3).epochs == 3
    assert ImageClassificationConfig(epochs=3).default("epochs") == 50
    assert TextClassificationConfig(smoke=True).units == 8
    assert TextClassificationConfig(smoke=True, units=9).units == 9
    assert TextClassificationConfig(target="micro").wide == 0
    assert SpeechRecognitionConfig(model="lstm", streaming=True).export == FORMATS[:-1]


def test_a_smoke_run_exports_only_to_a_given_directory():
    assert TextClassificationConfig(smoke=True, export=("float32",)).export == ()
    assert TextClassificationConfig(smoke=True, export_dir="x").export == FORMATS
    assert TextClassificationConfig(smoke=True, export=["float32"], export_dir="x").export == ("float32",)


def test_nothing_is_exported_without_a_directory():
    assert formats_to_export(TextClassificationConfig(export_dir="x")) == FORMATS
    assert formats_to_export(TextClassificationConfig(export_dir=None)) == ()


def test_replace_changes_what_depends_on_a_setting():
    config = ImageClassificationConfig(dropout=0.2)
    assert config.replace(model="row_lstm").epochs == 120
    assert config.replace(model="row_lstm").dropout == 0.2
    assert config.replace(smoke=True).given() == {"dropout": 0.2, "smoke": True}


@pytest.mark.parametrize(
    "config_class, settings, error, words",
    [
        (
            Config,
            {"cell": "lsmt"},
            ValueError,
            "`cell` must be one of lstm, gru, rnn, .*module:Class; got 'lsmt'; did you mean 'lstm'",
        ),
        (Config, {"cell": "lstm:"}, ValueError, "`cell` must be one of lstm, gru, rnn, .*module:Class; got 'lstm:'"),
        (Config, {"export": ("flaot32",)}, ValueError, "`export` must be some of .* did you mean 'float32'"),
        (Config, {"epochs": 0}, ValueError, r"`epochs` must be finite and in \[1, inf\]; got 0"),
        (Config, {"learning_rate": float("nan")}, ValueError, "`learning_rate` must be finite"),
        (Config, {"epochs": 1.5}, TypeError, "`epochs` must be of type int; got 1.5"),
        (Config, {"xla": 1}, TypeError, "`xla` must be of type bool"),
        (Config, {"epochs": True}, TypeError, "`epochs` must be of type int; got True"),
        (Config, {"form": "loop"}, ValueError, "`form` must suit every format"),
        (TranslationConfig, {"units": 12}, ValueError, "`units` must be a multiple of 8; got 12"),
        (TranslationConfig, {"cell": "rnn"}, ValueError, "`cell` must be one of lstm, gru"),
        (Config, {"celll": "lstm"}, TypeError, "celll"),
    ],
)
def test_a_wrong_setting(config_class, settings, error, words):
    with pytest.raises(error, match=words):
        config_class(**settings)


def test_a_cell_may_be_a_class_of_the_user():
    for config_class in (Config, TranslationConfig):
        for cell in ("peephole:PeepholeLSTM", "cells/peephole.py:PeepholeLSTM"):
            config = config_class(cell=cell)
            assert (config.cell, config.cell_title) == (cell, "PeepholeLSTM")
    assert Config().cell_title == "LSTM"


def test_a_call_is_described_by_what_was_given():
    config = TextClassificationConfig(smoke=True, units=9)
    call = describe_call(TextClassification, config)
    assert call == "tfpar.tasks.run(TextClassification, TextClassificationConfig(smoke=True, units=9))"


def test_a_config_of_another_task_is_refused():
    with pytest.raises(TypeError, match="`config` must be of type TextClassificationConfig"):
        TextClassification(TranslationConfig())


def test_the_summary_names_result_files_and_next_command():
    result = {"metrics": {"accuracy": 0.79412}, "examples": {"test": 2663}, "train_seconds": 31.4}
    result["exports"] = [{"format": "float32"}, {"format": "int8", "refused": "why"}]
    task = TextClassification(TextClassificationConfig())
    assert summarize(task, result, ["python", "recipes/sentiment.py"]) == [
        "sentiment: accuracy 0.7941 on 2,663 test examples; trained for 31 s",
        "exported to exports/sentiment: float32; see card.md there",
        'next: tfpar predict exports/sentiment "a gripping film"',
    ]


def test_the_next_command_keeps_the_flags():
    result = {"metrics": {}, "examples": {"test": 4}, "train_seconds": 1.0, "exports": []}
    arguments = ["python", "recipes/sentiment.py", "--dataset", "csv:my file.csv", "--smoke"]
    (_, line) = summarize(TextClassification(TextClassificationConfig(smoke=True)), result, arguments)
    assert line == "next, without --smoke: python recipes/sentiment.py --dataset 'csv:my file.csv'"
    (_, line) = summarize(TextClassification(TextClassificationConfig(export_dir=None)), result, arguments[:-1])
    assert line.endswith("python recipes/sentiment.py --dataset 'csv:my file.csv' --export_dir DIRECTORY")
