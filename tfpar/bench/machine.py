"""Describes the machine of a benchmark."""

import os
import platform
from importlib import metadata
from pathlib import Path

from tfpar.cluster import usable_cores

_VERSIONS = ("tfpar", "tensorflow", "keras", "torch", "jax", "ai-edge-litert", "onnxruntime")


def describe_machine() -> dict:
    """Describe processor, cores, memory in GB, and the versions of all installed competitors."""
    versions = {name: _version(name) for name in _VERSIONS}
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        **{name: version for name, version in versions.items() if version},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
