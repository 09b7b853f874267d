"""Architecture: imports go down, packages are light to import, recipes use public names, files name no machine."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON_FILES = sorted(path for folder in ("tfpar", "recipes", "tests") for path in (ROOT / folder).rglob("*.py"))
BIN = Path(sys.executable).parent
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|Users|work|mnt|opt|tmp)/\w")


def relative(path):
    return str(path.relative_to(ROOT))


def imports_of(path):
    """Full dotted names of what a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_import_contracts():
    command = [BIN / "lint-imports", "--config", "setup.cfg", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("module", ["tfpar", "tfpar.cluster", "tfpar.errors", "tfpar.checks", "tfpar.cli.main"])
def test_light_to_import(module):
    program = f"import sys, {module}; print(sorted({{'tensorflow', 'keras'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ruff():
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run([BIN / "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.py")), ids=relative)
def test_recipes_use_public_names(path):
    private = [name for name in imports_of(path) if name.startswith("tfpar") and "._" in name]
    assert private == []


@pytest.mark.parametrize("path", sorted((ROOT / "tfpar" / "ops").glob("*.py")), ids=relative)
def test_ops_know_no_layer(path):
    assert [name for name in imports_of(path) if name.startswith(("keras.layers", "keras.Model"))] == []
    attributes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)]
    assert [ast.unparse(n) for n in attributes if ast.unparse(n).startswith(("keras.layers", "tf.keras"))] == []


@pytest.mark.parametrize("path", [path for path in PYTHON_FILES if path.is_relative_to(ROOT / "tfpar")], ids=relative)
def test_flags_are_defined_at_the_doors(path):
    if path.is_relative_to(ROOT / "tfpar" / "cli"):
        return
    assert not [name for name in imports_of(path) if name.startswith("absl.flags") or name == "absl.flags"]
    assert path.stem != "utils"


def test_no_machine_paths():
    files = [*PYTHON_FILES, *ROOT.glob("*.md"), *ROOT.glob("*.cfg"), *ROOT.glob("*.toml"), *ROOT.glob("tfpar/**/*.md")]
    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert len(files) > 50 and found == []


def test_public_names_exist():
    """Each name in an `__all__` can be had."""
    import tfpar

    for room in ("cluster", "data", "export", "layers", "models", "train"):
        module = getattr(tfpar, room)
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = tfpar.nonsense
