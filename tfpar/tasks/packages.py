"""Optional packages that tasks need, checked before work starts."""

import dataclasses
import importlib.util

from tfpar.errors import MissingExtraError


@dataclasses.dataclass(frozen=True)
class Package:
    """An optional package.

    Attributes:
        module: its import name.
        name: of the distribution.
        extra: of tfpar that installs it.
        purpose: the end of the sentence "it is needed ...".
    """

    module: str
    name: str
    extra: str
    purpose: str


MATPLOTLIB = Package("matplotlib", "matplotlib", "recipes", "to plot figures of an export, unless --export= is given")
PILLOW = Package("PIL", "pillow", "recipes", "to read and write images")
SACREBLEU = Package("sacrebleu", "sacrebleu", "recipes", "to score translations")
TENSORBOARD = Package("tensorboard", "tensorboard", "recipes", "for the logs in --model_dir")
TFDS = Package("tensorflow_datasets", "tensorflow-datasets", "recipes", "to read TFDS sets and the bundled ones")
TOKENIZERS = Package("tokenizers", "tokenizers", "recipes", "to convert texts to token ids")
JIWER = Package("jiwer", "jiwer", "speech", "to count word errors")


def check_installed(*packages: Package) -> None:
    """Raise MissingExtraError for the first package that is not installed; import nothing."""
    for package in packages:
        if not _is_installed(package.module):
            raise MissingExtraError(package.name, package.extra, package.purpose)


def _is_installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a finder refuses the name, or sys.modules does
        return False
