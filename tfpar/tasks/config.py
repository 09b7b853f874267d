"""Settings of a training run as a frozen dataclass, from which the flags of a recipe are generated.

Importing this module imports neither TensorFlow nor Keras.
"""

import dataclasses
import math
import numbers
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from tfpar import cell_names, checkpoint_interval
from tfpar.checks import did_you_mean
from tfpar.cluster import STRATEGIES
from tfpar.export import formats

FORMATS = ("saved_model", *(name for name in formats.FORMATS if name != "int16x8"))  # it takes no token ids
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
FORM_OF_INT8 = "int8 can be fused or unrolled; leave --form at auto, or int8 out of --export"

_NOT_GIVEN = object()


@dataclasses.dataclass(frozen=True)
class Setting:
    """A field of a `Config`.

    Attributes:
        default: its value unless it is given and no other setting determines it.
        help: one sentence for users.
        minimum, maximum: bounds of a number, inclusive; None: unbounded.
        choices: allowed values, or of a tuple: allowed members; empty: any.
        multiple_of: factor that divides the value; 1: any.
        other_choice: what is allowed besides `choices`, for messages; "": nothing.
        is_other_choice: whether a word is that.
    """

    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    multiple_of: int = 1
    other_choice: str = ""
    is_other_choice: Callable[[str], bool] | None = None

    def allows(self, word: Any) -> bool:
        """Return whether a word is one of the choices."""
        return word in self.choices or (self.is_other_choice is not None and self.is_other_choice(word))

    def list_choices(self) -> tuple[str, ...]:
        """Return the choices for messages."""
        return (*self.choices, self.other_choice) if self.other_choice else self.choices


def setting(default: Any, help: str, minimum: float | None = None, maximum: float | None = None, **options: Any) -> Any:
    """Make a dataclass field of a `Config`; the arguments are those of `Setting`."""
    return dataclasses.field(
        default=_NOT_GIVEN, metadata={"setting": Setting(default, help, minimum, maximum, **options)}
    )


def cell_setting(*choices: str) -> Any:
    """Make the setting of the recurrent cell: one of `choices`, the first by default, a registered name or a class."""
    return setting(
        choices[0],
        "Recurrent cell; module:Class or FILE.py:Class is a layer of your own.",
        choices=choices,
        other_choice=cell_names.REFERENCE,
        is_other_choice=cell_names.is_user_cell,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Settings that all tasks share.

    A setting that is not given has the default of its field, of `DEFAULTS`, of `dependent_defaults` or, if `smoke`, of
    `SMOKE`: the last of these that has one.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a value is out of bounds or is not one of the choices.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {}
    SMOKE: ClassVar[Mapping[str, Any]] = {}
    # With other values of these a run can be continued: they do not alter its result, or not that of finished epochs.
    CHANGEABLE: ClassVar = frozenset(
        "strategy replicas worker_timeout_s xla epochs steps_per_execution model_dir checkpoint_every keep_checkpoints "
        "restart max_skipped_steps on_non_finite export_dir export form target".split()
    )

    dataset: str = setting("", "A bundled set's name, tfds:NAME, csv:PATH, tsv:PATH or folder:PATH.")
    cell: str = cell_setting(*cell_names.BUILT_IN)
    evaluation: str = setting(
        "auto", "How recurrent layers run through time; auto: the fastest here.", choices=cell_names.EVALUATIONS
    )
    dropout: float = setting(0.5, "Fraction of features dropped before the output.", 0, 0.99)
    seed: int = setting(1, "Of initial weights, dropout and shuffling.", 0, 2**31 - 1)
    strategy: str = setting("auto", "How training is spread over devices.", choices=tuple(STRATEGIES))
    replicas: int = setting(0, "mirrored: GPUs, or logical CPU devices, to train on; 0: all GPUs, or one CPU.", 0)
    worker_timeout_s: float = setting(300.0, "multiworker: longest wait for another worker.", 1)
    xla: bool = setting(True, "Compile the training step by XLA.")
    precision: str = setting("float32", "Dtype policy.", choices=PRECISIONS)
    epochs: int = setting(5, "Passes over the training data.", 1)
    steps: int = setting(0, "Stop after so many steps; 0: by epochs.", 0)
    steps_per_execution: int = setting(
        8, "Steps at a time, between which Python does nothing; 1 where --steps is given.", 1
    )
    batch_size: int = setting(64, "Global batch size.", 1)
    learning_rate: float = setting(2e-3, "Peak; warmed up, then a cosine to zero.", 0)
    weight_decay: float = setting(0.0, "AdamW's.", 0)
    label_smoothing: float = setting(0.0, "Probability that is spread over the classes.", 0, 0.99)
    clip_norm: float = setting(1.0, "Global norm of the gradient; 0: no clipping.", 0)
    accumulate_steps: int = setting(1, "Steps whose gradients are added up for one update.", 1)
    ema: float = setting(0.99, "Momentum of the weights' moving average; 0: none.", 0, 0.99999)
    patience: int = setting(0, "Stop when validation is no better for so many epochs; 0: never.", 0)
    model_dir: str | None = setting(
        None, "Directory for checkpoints, logs and curves; the same command continues a run from there."
    )
    checkpoint_every: str = setting(
        "1epoch",
        "Interval of the checkpoints in --model_dir.",
        choices=("1epoch",),
        other_choice=checkpoint_interval.SYNTAX,
        is_other_choice=checkpoint_interval.is_interval,
    )
    max_skipped_steps: int = setting(
        10, "Steps in a row that are skipped, since the loss or a gradient is not finite, before --on_non_finite.", 1
    )
    on_non_finite: str = setting(
        "stop",
        "Stop, or go on with the weights of the last checkpoint at half the learning rate.",
        choices=("stop", "rewind"),
    )
    keep_checkpoints: int = setting(2, "Checkpoints that stay in --model_dir.", 2)
    restart: bool = setting(False, "Remove the run in --model_dir, and begin anew.")
    export_dir: str | None = setting(None, "Directory of the exported model.")
    export: tuple[str, ...] = setting(FORMATS, f"Formats: {', '.join(FORMATS)}; empty: none.", choices=FORMATS)
    form: str = setting("auto", "Form of recurrences in a TFLite file; auto: by target.", choices=tuple(formats.FORMS))
    target: str = setting("phone", "Where files are to run; desktop: fastest here.", choices=tuple(formats.TARGETS))
    smoke: bool = setting(False, "Two steps on tiny generated data, in seconds.")

    def __post_init__(self):
        given = {name: getattr(self, name) for name in settings_of(type(self))}
        given = {name: value for name, value in given.items() if value is not _NOT_GIVEN}
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        for name, value in given.items():
            check_setting(type(self), name, value)
        defaults = {name: entry.default for name, entry in settings_of(type(self)).items()}
        for base in reversed(type(self).__mro__):
            defaults |= vars(base).get("DEFAULTS", {})
        object.__setattr__(self, "_given", given)
        self._assign(defaults | given)
        defaults |= self.dependent_defaults()
        if self.smoke:
            defaults |= self.SMOKE
            if "export_dir" not in given:
                defaults["export"] = ()
                given = {name: value for name, value in given.items() if name != "export"}
        object.__setattr__(self, "_defaults", defaults)
        self._assign(defaults | given)
        if not form_suits_formats(self.form, self.export):
            raise ValueError(f"`form` must suit every format in `export`; got {self.form!r}: {FORM_OF_INT8}.")

    def dependent_defaults(self) -> dict[str, Any]:
        """Return the defaults that depend on other settings."""
        return {}

    def micro_defaults(self) -> dict[str, Any]:
        """Return the default of `export` for the target "micro": TFLite Micro does not run every format."""
        return {"export": ("int8",)} if self.target == "micro" and self.export else {}

    def notes(self) -> Iterator[str]:
        """Yield lines for users about settings that follow from others."""
        if self.target == "micro" and self.export and not self.is_given("export"):
            yield f"--target micro: --export {','.join(self.export)}"

    def check(self) -> None:
        """Check settings that depend on each other.

        Raises:
            UserError: two settings exclude each other.
        """

    @property
    def cell_title(self) -> str:
        """The cell in words: the acronym, or the name of the user's class."""
        return cell_names.TITLES.get(self.cell) or self.cell.rpartition(":")[2]

    def is_given(self, name: str) -> bool:
        """Return whether a setting was an argument."""
        return name in vars(self)["_given"]

    def default(self, name: str) -> Any:
        """Return the value that a setting has unless it is given, with the other settings as they are."""
        return vars(self)["_defaults"][name]

    def given(self) -> dict[str, Any]:
        """Return the settings that were arguments, by name."""
        return dict(vars(self)["_given"])

    def replace(self, **changes: Any) -> typing.Self:
        """Return a copy with changed settings; what depends on them changes, too, unless it was given."""
        return type(self)(**(self.given() | changes))

    def _assign(self, values):
        for name, value in values.items():
            object.__setattr__(self, name, value)


def settings_of(config_class: type[Config]) -> dict[str, Setting]:
    """Return the settings of a class by name, in order of definition."""
    return {field.name: field.metadata["setting"] for field in dataclasses.fields(config_class)}


def types_of(config_class: type[Config]) -> dict[str, type]:
    """Return the type of each setting by name: str, int, float, bool or tuple."""
    hints = typing.get_type_hints(config_class)
    return {name: _plain_type(hints[name]) for name in settings_of(config_class)}


def _plain_type(hint):
    if isinstance(hint, types.UnionType):  # `str | None`
        return next(option for option in typing.get_args(hint) if option is not type(None))
    return typing.get_origin(hint) or hint


def form_suits_formats(form: str, export: tuple[str, ...]) -> bool:
    """Return whether files of all formats can have recurrences of this form."""
    return all(form in ("auto", *formats.FORMS_OF.get(name, formats.FORMS)) for name in export)


def check_setting(config_class: type[Config], name: str, value: Any) -> None:
    """Check one value of a setting.

    Raises:
        TypeError: it has the wrong type.
        ValueError: it is out of bounds or is not one of the choices.
    """
    entry, expected = settings_of(config_class)[name], types_of(config_class)[name]
    if value is None and entry.default is None:
        return
    number = {int: numbers.Integral, float: numbers.Real}.get(expected)
    kind: Any = number or expected
    if not isinstance(value, kind) or (number and isinstance(value, bool)):
        raise TypeError(f"`{name}` must be of type {expected.__name__}; got {value!r}.")
    if number:
        _check_number(name, value, entry)
    for word in value if expected is tuple else [value]:
        if entry.choices and not entry.allows(word):
            allowed = ", ".join(entry.list_choices())
            raise ValueError(
                f"`{name}` must be {'some' if expected is tuple else 'one'} of {allowed}; got {word!r}"
                f"{did_you_mean(str(word), entry.choices)}"
            )


def _check_number(name, value, entry):
    low = -math.inf if entry.minimum is None else entry.minimum
    high = math.inf if entry.maximum is None else entry.maximum
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"`{name}` must be finite and in [{low}, {high}]; got {value!r}.")
    if entry.multiple_of > 1 and value % entry.multiple_of:
        raise ValueError(f"`{name}` must be a multiple of {entry.multiple_of}; got {value!r}.")
