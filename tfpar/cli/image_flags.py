"""Flags that the recipes for images share: of data, augmentation and network."""

from absl import flags

from tfpar.cli.flags import check_list, define_group

# What is defined here belongs to the recipe that asks for it: its --help lists these flags, too.
flags.disclaim_key_flags()

AUGMENTATIONS = ("affine", "elastic", "flip", "light", "noise", "cutout")


def define(*, augment: str, **defaults) -> None:
    """Defines the flags.

    Args:
        augment: default of `--augment`.
        **defaults: default of any other flag, by its name.
    """
    _define_data(defaults)
    _define_augmentation(augment, defaults)
    _define_network(defaults)


def _define_data(defaults):
    define_group()
    flags.DEFINE_integer(
        "image_size", defaults.get("image_size", 0), "Pixels of the longer side; 0: as they are, or 64 if they differ."
    )
    flags.DEFINE_bool("validation_split", False, "Cut a validation split from training, where there is none.")


def _define_augmentation(augment, defaults):
    flags.DEFINE_list("augment", augment.split(","), f"Some of {', '.join(AUGMENTATIONS)}; empty: none.")
    flags.DEFINE_float("rotation_degrees", defaults.get("rotation_degrees", 10.0), "affine: at most.", 0, 180)
    flags.DEFINE_float("shift", defaults.get("shift", 0.1), "affine: at most, as a share of height and width.", 0, 1)
    flags.DEFINE_float("zoom", defaults.get("zoom", 0.1), "affine: at most, as a share of the size.", 0, 0.9)
    flags.DEFINE_float("stretch", defaults.get("stretch", 0.1), "affine: of height and of width apart.", 0, 0.9)
    flags.DEFINE_float("shear", defaults.get("shear", 0.2), "affine: at most.", 0, 2)
    flags.DEFINE_float("bend", defaults.get("bend", 0.025), "elastic: deviation, as a share of the size.", 0, 1)
    flags.DEFINE_float("brightness", defaults.get("brightness", 0.2), "light: at most, of the full range.", 0, 1)
    flags.DEFINE_float("contrast", defaults.get("contrast", 0.3), "light: at most.", 0, 1)
    flags.DEFINE_float("noise", defaults.get("noise", 0.05), "noise: deviation, of the full range.", 0, 1)
    flags.DEFINE_float("cutout", defaults.get("cutout", 0.3), "cutout: side of the square, of the image's.", 0, 1)
    check_list("augment", AUGMENTATIONS)


def _define_network(defaults):
    flags.DEFINE_enum("model", "cnn", ["cnn", "row_lstm", "cnn_lstm"], "Convolutions, a recurrent network, or both.")
    flags.DEFINE_integer("width", defaults.get("width", 32), "Channels of the first convolution.", 1)
    flags.DEFINE_integer("stages", defaults.get("stages", 2), "Of two convolutions, and a halving.", 1)
    flags.DEFINE_integer("units", defaults.get("units", 128), "Units of each recurrent layer and direction.", 1)
    flags.DEFINE_integer("layers", defaults.get("layers", 1), "Stacked recurrent layers.", 1)
    flags.DEFINE_bool("bidirectional", True, "Read the rows from both ends.")
