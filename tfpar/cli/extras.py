"""Lists the optional packages of tfpar."""

from importlib import metadata


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
