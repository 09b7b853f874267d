"""Flags that all recipes share, each defined once. Importing this file starts neither TensorFlow nor Keras."""

from absl import flags

from tfpar.checks import did_you_mean
from tfpar.cluster import STRATEGIES
from tfpar.export import formats

FLAGS = flags.FLAGS

# What is defined here belongs to the recipe that asks for it: its --help lists these flags, too.
flags.disclaim_key_flags()

FORMATS = ("saved_model", *(name for name in formats.FORMATS if name != "int16x8"))  # it takes no token ids
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def define_common(*, dataset: str, cells: tuple[str, ...], **defaults) -> None:
    """Defines the flags of `contracts`: data, model, strategy, optimisation, output.

    Args:
        dataset: the default data set.
        cells: choices of `--cell`; the first is the default.
        **defaults: default of any other common flag, by its name.
    """
    _define_data_and_model(dataset, cells, defaults)
    _define_strategy()
    _define_optimisation(defaults)
    _define_output(defaults)


def define_table_files() -> None:
    """Define how the files of csv: and tsv: are written."""
    flags.DEFINE_string("encoding", "utf-8", "csv:, tsv: the file's encoding, such as cp1252 or utf-16.")
    flags.DEFINE_string("delimiter", "", r"csv:, tsv: what separates fields, such as ';' or '\t'; empty: comma, tab.")


def define_group() -> None:
    """Define which files of folder: stay in one split."""
    flags.DEFINE_string(
        "group",
        "",
        "folder: a regular expression, searched in a file's path below the folder; files for which its first group is "
        "the same, such as those of one person, stay in one split. Empty: groups.tsv in the folder, if it is there.",
    )


def check_list(name: str, choices: tuple[str, ...]) -> None:
    """Let a list flag hold nothing but some of `choices`."""

    def check(words):
        for word in filter(None, words):
            if word not in choices:
                raise flags.ValidationError(
                    f"must list some of {', '.join(choices)}; got {word!r}{did_you_mean(word, choices)}"
                )
        return True

    flags.register_validator(name, check)


def _define_data_and_model(dataset, cells, defaults):
    flags.DEFINE_string("dataset", dataset, "A bundled set's name, tfds:NAME, csv:PATH, tsv:PATH or folder:PATH.")
    flags.DEFINE_enum("cell", cells[0], list(cells), "Recurrent cell.")
    flags.DEFINE_float(
        "dropout", defaults.get("dropout", 0.5), "Fraction of features dropped before the output.", 0, 0.99
    )
    flags.DEFINE_integer("seed", 1, "Of initial weights, dropout and shuffling.", 0, 2**31 - 1)


def _define_strategy():
    flags.DEFINE_enum("strategy", "auto", list(STRATEGIES), "How training is spread over devices.")
    flags.DEFINE_integer(
        "replicas", 0, "mirrored: GPUs, or logical CPU devices, to train on; 0: all GPUs, or one CPU.", 0
    )
    flags.DEFINE_float("worker_timeout_s", 300.0, "multiworker: longest wait for another worker.", 1)
    flags.DEFINE_bool("xla", True, "Compile the training step by XLA.")
    flags.DEFINE_enum("precision", "float32", list(PRECISIONS), "Dtype policy.")


def _define_optimisation(defaults):
    flags.DEFINE_integer("epochs", defaults.get("epochs", 5), "Passes over the training data.", 1)
    flags.DEFINE_integer("steps", 0, "Stop after so many steps; 0: by epochs.", 0)
    flags.DEFINE_integer(
        "steps_per_execution", 8, "Steps at a time, between which Python does nothing; 1 where --steps is given.", 1
    )
    flags.DEFINE_integer("batch_size", defaults.get("batch_size", 64), "Global batch size.", 1)
    flags.DEFINE_float(
        "learning_rate", defaults.get("learning_rate", 2e-3), "Peak; warmed up, then a cosine to zero.", 0
    )
    flags.DEFINE_float("weight_decay", defaults.get("weight_decay", 0.0), "AdamW's.", 0)
    flags.DEFINE_float(
        "label_smoothing", defaults.get("label_smoothing", 0.0), "Share spread over the classes.", 0, 0.99
    )
    flags.DEFINE_float("clip_norm", defaults.get("clip_norm", 1.0), "Global norm of the gradient; 0: no clipping.", 0)
    flags.DEFINE_integer("accumulate_steps", 1, "Steps whose gradients are added up for one update.", 1)
    flags.DEFINE_float(
        "ema", defaults.get("ema", 0.99), "Momentum of the weights' moving average; 0: none.", 0, 0.99999
    )
    flags.DEFINE_integer("patience", 0, "Stop when validation is no better for so many epochs; 0: never.", 0)


def _define_output(defaults):
    flags.DEFINE_string("model_dir", None, "Checkpoints, logs, curves; a run that was stopped goes on from there.")
    flags.DEFINE_string("export_dir", defaults.get("export_dir"), "Where the trained model is left.")
    flags.DEFINE_list("export", list(defaults.get("export", FORMATS)), f"Formats: {', '.join(FORMATS)}; empty: none.")
    flags.DEFINE_enum(
        "form", "auto", list(formats.FORMS), "What a recurrence becomes in a TFLite file; auto: by target."
    )
    flags.DEFINE_enum("target", "phone", list(formats.TARGETS), "Where files are to run; desktop: fastest here.")
    flags.DEFINE_bool("smoke", False, "Two steps on tiny generated data, in seconds.")
    check_list("export", FORMATS)
    flags.register_multi_flags_validator(
        ["export", "form"],
        lambda given: all(given["form"] in ("auto", *formats.FORMS_OF.get(n, formats.FORMS)) for n in given["export"]),
        message="int8 can be fused or unrolled; leave --form at auto, or int8 out of --export",
    )
