"""Checks and lists optional packages."""

import dataclasses
import importlib.util
from importlib import metadata

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
    """Raise MissingExtraError for the first package that is not installed; nothing is imported."""
    for package in packages:
        if not _is_installed(package.module):
            raise MissingExtraError(package.name, package.extra, package.purpose)


def _is_installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a finder refuses the name, or sys.modules does
        return False


def list_extras() -> dict[str, dict]:
    """Read the extras of tfpar from its metadata.

    Returns:
        By extra {"installed", "missing": names of distributions, "install": the command that installs them}; {} if
        tfpar runs from a directory that was never installed.
    """
    from packaging.requirements import Requirement  # Keras depends on it

    try:
        lines, extras = metadata.requires("tfpar") or [], metadata.metadata("tfpar").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return {}
    requirements = [Requirement(line) for line in lines]
    return {extra: _extra(extra, requirements) for extra in extras}


def _extra(extra, requirements):
    needed = {
        requirement.name
        for requirement in requirements
        if requirement.marker
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.marker.evaluate({"extra": ""})
    }
    missing = sorted(name for name in needed if read_version(name) is None)
    install = {"install": f"pip install 'tfpar[{extra}]'"} if missing else {}
    return {"installed": not missing, "missing": missing, **install}


def read_version(name: str) -> str | None:
    """Return the version of an installed distribution from its metadata, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
