"""Flags of recipes, generated from the settings of a task. Importing this file starts neither TensorFlow nor Keras."""

from typing import Any

from absl import flags

from tfpar.checks import did_you_mean
from tfpar.tasks.config import FORM_OF_INT8, Config, Setting, form_suits_formats, settings_of, types_of

FLAGS = flags.FLAGS

# What is defined here belongs to the recipe that asks for it: its --help lists these flags, too.
flags.disclaim_key_flags()


def define_flags(config_class: type[Config]) -> None:
    """Define a flag for each setting of a class."""
    types, defaults = types_of(config_class), config_class()
    for name, entry in settings_of(config_class).items():
        _define_flag(name, entry, types[name], getattr(defaults, name))
    flags.register_multi_flags_validator(
        ["export", "form"],
        lambda given: form_suits_formats(given["form"], tuple(filter(None, given["export"]))),
        message=FORM_OF_INT8,
    )


def read_config(config_class: type[Config]) -> Config:
    """Make the settings from the parsed flags, and set the flags' defaults to those that hold with them."""
    given: dict[str, Any] = {name: FLAGS[name].value for name in settings_of(config_class) if FLAGS[name].present}
    for name, value in given.items():
        if isinstance(value, list):
            given[name] = tuple(filter(None, value))
    config = config_class(**given)
    for name in settings_of(config_class):
        default = config.default(name)
        FLAGS.set_default(name, list(default) if isinstance(default, tuple) else default)
    return config


def _define_flag(name: str, entry: Setting, kind: type, default: Any) -> None:
    bounds: dict[str, Any] = dict(lower_bound=entry.minimum, upper_bound=entry.maximum)
    if kind is tuple:
        flags.DEFINE_list(name, list(default), entry.help)
        if entry.choices:
            _check_list(name, entry.choices)
    elif entry.other_choice:
        help = f"<{'|'.join(entry.list_choices())}>: {entry.help}"
        flags.DEFINE(_OpenEnumParser(entry), name, default, help, serializer=flags.ArgumentSerializer())
    elif entry.choices:
        flags.DEFINE_enum(name, default, list(entry.choices), entry.help)
    elif kind is bool:
        flags.DEFINE_bool(name, default, entry.help)
    elif kind is int:
        flags.DEFINE_integer(name, default, entry.help, **bounds)
    elif kind is float:
        flags.DEFINE_float(name, default, entry.help, **bounds)
    else:
        flags.DEFINE_string(name, default, entry.help)
    if entry.multiple_of > 1:
        flags.register_validator(
            name, lambda value: value % entry.multiple_of == 0, message=f"must be a multiple of {entry.multiple_of}"
        )


class _OpenEnumParser(flags.EnumParser):
    """Parser of a flag with choices and other values.

    Args:
        entry: a setting with `other_choice`.
    """

    def __init__(self, entry: Setting):
        super().__init__(entry.choices)
        self._entry = entry

    def parse(self, argument: str) -> str:
        if not self._entry.allows(argument):
            raise ValueError(f"value should be one of <{'|'.join(self._entry.list_choices())}>")
        return argument


def _check_list(name, choices):
    """Restrict the members of a list flag to `choices`."""

    def check(words):
        for word in filter(None, words):
            if word not in choices:
                raise flags.ValidationError(
                    f"must list some of {', '.join(choices)}; got {word!r}{did_you_mean(word, choices)}"
                )
        return True

    flags.register_validator(name, check)
