"""`tfpar` itself."""

import importlib.metadata
import platform

import pytest

import tfpar as package


def test_without_arguments_it_shows_its_commands(tfpar):
    run = tfpar()
    assert run.returncode == 2
    assert "predict" in run.stdout + run.stderr and "verify" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(tfpar, flag):
    run = tfpar(flag)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: tfpar") and "predict" in run.stdout and "verify" in run.stdout
    assert run.user_s < 1


@pytest.mark.parametrize("command", ["predict", "export", "launch"])
def test_help_of_a_command_is_fast(tfpar, command):
    run = tfpar(command, "--help", python=("-X", "importtime", "-m", "tfpar"))
    assert run.returncode == 0 and run.stdout.startswith(f"usage: tfpar {command}")
    assert {"tensorflow", "keras", "numpy"} & {line.split()[-1] for line in run.stderr.splitlines()} == set()


@pytest.mark.parametrize("command", ["predcit", "", "--version-of-what", "cli"])
def test_unknown_command(tfpar, command):
    error = tfpar(command).error
    assert repr(command) in error and "predict" in error


@pytest.mark.parametrize(
    "arguments, closest",
    [
        (["predcit"], "'predict'"),
        (["--versoin"], "'--version'"),
        (["evaluate", "a", "b", "--fromat=int8"], "'--format'"),
        (["predict", "a", "--output", "jsnol"], "'jsonl'"),
        (["bench", "recurent"], "'recurrent'"),
    ],
)
def test_did_you_mean(tfpar, arguments, closest):
    assert f"did you mean {closest}?" in tfpar(*arguments).error


def test_version(tfpar):
    assert tfpar("--version").stdout == f"tfpar {package.__version__}\n"


def test_info(tfpar):
    run = tfpar("info", python=("-X", "importtime", "-m", "tfpar"))
    info = run.result
    assert info["python"] == platform.python_version() and info["cores"] >= 1 and isinstance(info["gpus"], list)
    for name, distribution in {"tensorflow": "tensorflow", "keras": "keras", "litert": "ai-edge-litert"}.items():
        assert info[name] == importlib.metadata.version(distribution)
    assert info["extras"]["recipes"] == {"installed": True, "missing": []}
    for extra, state in info["extras"].items():
        assert state["installed"] == (not state["missing"])
        assert state.get("install") == (f"pip install 'tfpar[{extra}]'" if state["missing"] else None)
    assert not {"tensorflow", "keras"} & {line.split()[-1] for line in run.stderr.splitlines()}


@pytest.mark.parametrize("command", ["predict", "evaluate", "verify", "seal", "unseal"])
def test_help_of_a_command(tfpar, command):
    run = tfpar(command, "--help")
    assert run.returncode == 0
    assert f"tfpar {command}" in run.stdout and "export_dir" in run.stdout


@pytest.mark.parametrize("command", ["predict", "verify", "unseal"])
def test_a_command_without_its_arguments(tfpar, command):
    error = tfpar(command).error
    assert "export_dir" in error and f"tfpar {command} --help" in error


def test_unknown_option_of_a_command(tfpar):
    assert "--colour" in tfpar("verify", "somewhere", "--colour").error
