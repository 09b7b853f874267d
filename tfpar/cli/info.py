"""`tfpar info`: facts for a bug report, without importing TensorFlow."""

import os
import platform
import shutil
import subprocess

import tfpar
from tfpar.cli.arguments import Parser
from tfpar.cli.extras import list_extras, read_version
from tfpar.cli.json_result import print_json

_PACKAGES = {"tensorflow": "tensorflow", "keras": "keras", "litert": "ai-edge-litert", "numpy": "numpy"}
_GPU_TIMEOUT_S = 5


def main(arguments: list[str]) -> None:
    """Print one JSON object: versions, platform, cores, GPUs, extras."""
    parser = Parser(prog="tfpar info", description="Print versions, cores, GPUs and installed extras as JSON.")
    parser.add_argument("--tensorflow", action="store_true", help="import TensorFlow, too, and list its devices")
    options = parser.parse_args(arguments)
    from tfpar.cluster import usable_cores

    report = {
        "tfpar": tfpar.__version__,
        "python": platform.python_version(),
        **{name: read_version(package) for name, package in _PACKAGES.items()},
        "platform": platform.platform(),
        "cores": usable_cores(),
        "gpus": _gpus(),
        "extras": list_extras(),
    }
    if options.tensorflow:
        report["devices"] = _devices()
    print_json(report)


def _gpus() -> list[str] | None:
    """List the names of NVIDIA GPUs by nvidia-smi; [] if it is missing, None if it fails."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GPU_TIMEOUT_S, env=os.environ)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.split("\n")[:-1] if not done.returncode else None


def _devices():
    from tfpar.cli.run import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    return [device.name for device in tf.config.list_physical_devices()]
