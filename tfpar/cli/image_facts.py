"""What the recipes for images say of a run, on the card and to those who export it."""

from absl import flags

from tfpar.cli import recipe

FLAGS = flags.FLAGS

SPLITS = ("train", "validation", "test")


def sizes(images) -> dict[str, int]:
    """How many images each split has."""
    return {split: len(getattr(images, split)) for split in SPLITS}


def counts(images) -> str:
    """How many images each split has, in words."""
    return ", ".join(f"{count:,} {split}" for split, count in sizes(images).items() if count)


def normalisation(images) -> dict[str, float]:
    """Mean and standard deviation of the training images' pixels."""
    pixels = images.train.images
    return {"mean": float(pixels.mean()), "deviation": max(1.0, float(pixels.std()))}


def network() -> str:
    """The network that the flags describe, in words."""
    convolutions = f"{2 * FLAGS.stages} convolutions, {FLAGS.width} channels in the first"
    direction = "bidirectional " if FLAGS.bidirectional else ""
    recurrent = f"{FLAGS.layers} {direction}{FLAGS.cell.upper()} of {FLAGS.units} units over the rows"
    return {"cnn": convolutions, "row_lstm": recurrent, "cnn_lstm": f"{convolutions}, then {recurrent}"}[FLAGS.model]


def facts(name: str, summary: str, images, result) -> dict:
    """What card and manifest say of a run; `result` is that of `Run.report`."""
    return recipe.facts(name, summary[0].upper() + summary[1:], images, counts(images), result)
