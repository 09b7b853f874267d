"""Random changes of sealed exports: `verify_bundle` and `unseal_bundle` with the pinned key detect every one."""

import itertools
import os
import random
import shutil

import pytest

from tfpar.errors import UserError
from tfpar.export.bundle.directory import write_bundle
from tfpar.export.bundle.keys import new_signing_key, read_public_key, read_signing_key
from tfpar.export.bundle.seal import seal_bundle, unseal_bundle
from tfpar.export.bundle.verify import verify_bundle

KEY = bytes(range(32))
SEALS = ("signed", "encrypted", "openssf")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """`sealed[name]` -> two sealed exports of the same files but one, encryption key, public key."""
    folder = tmp_path_factory.mktemp("sealed")
    for name in ("first", "second"):
        with write_bundle(folder / name, {"task": "guessing"}) as directory:
            (directory / "labels.txt").write_text(f"a\nb\n{name}\n")
            (directory / "empty").touch()
            (directory / "below").mkdir()
            (directory / "below" / "bytes").write_bytes(bytes(range(256)))
    found = {}
    for name in SEALS:
        kind = "openssf" if name == "openssf" else "tfpar"
        paths = new_signing_key(str(folder / f"{name}_key"), kind)
        key = KEY if name == "encrypted" else None
        exports = [folder / f"{name}_{source}" for source in ("first", "second")]
        for source, export in zip(("first", "second"), exports, strict=True):
            seal_bundle(folder / source, read_signing_key("file:" + paths["private_key"], kind), key, export)
        found[name] = exports, key, read_public_key(paths["public_key"])
    return found


def list_files(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())


def flip_a_bit(generator, directory, other):
    path = generator.choice([path for path in list_files(directory) if path.stat().st_size])
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def insert_bytes(generator, directory, other):
    path = generator.choice(list_files(directory))
    content, offset = path.read_bytes(), generator.randrange(path.stat().st_size + 1)
    path.write_bytes(
        content[:offset] + generator.choice([b"\n", b" ", b"\0", generator.randbytes(9)]) + content[offset:]
    )


def cut(generator, directory, other):
    path = generator.choice([path for path in list_files(directory) if path.stat().st_size])
    os.truncate(path, generator.randrange(path.stat().st_size))


def remove(generator, directory, other):
    generator.choice(list_files(directory)).unlink()


def swap_two_files(generator, directory, other):
    first, second = generator.sample(list_files(directory), 2)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def copy_from_another_export(generator, directory, other):
    """The same key has signed and encrypted both. Copies of all files that differ would be the other export."""
    differing = [p for p in list_files(directory) if p.read_bytes() != (other / p.relative_to(directory)).read_bytes()]
    for path in generator.sample(differing, generator.randrange(1, len(differing))):
        path.write_bytes((other / path.relative_to(directory)).read_bytes())


def add_an_entry(generator, directory, other):
    path = generator.choice([directory, directory / "below"]) / generator.choice(["x", ".x", "model.float32.tflite"])
    target = generator.choice([directory / "labels.txt", other, "/", "nowhere", "."])
    generator.choice([lambda: path.symlink_to(target), lambda: os.mkfifo(path), path.mkdir, path.touch])()


def link_out(generator, directory, other):
    """The content is the same, but whoever owns the link's target can change it later."""
    path = generator.choice(list_files(directory))
    outside = directory.parent / "outside"
    shutil.copy(path, outside)
    path.unlink()
    path.symlink_to(outside)


def replace_by_another_kind(generator, directory, other):
    path = generator.choice(list_files(directory))
    path.unlink()
    generator.choice([path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(path.name)])()


CHANGES = (
    *(flip_a_bit, flip_a_bit, flip_a_bit, insert_bytes, cut, remove, swap_two_files),
    *(copy_from_another_export, add_an_entry, link_out, replace_by_another_kind),
)


def contents(directory):
    """Kind and content of each entry."""
    found = {}
    for path in sorted(directory.rglob("*")):
        kind = "link" if path.is_symlink() else "file" if path.is_file() else "directory" if path.is_dir() else "other"
        found[path.relative_to(directory)] = kind, path.read_bytes() if kind == "file" else None
    return found


def is_detected(function):
    try:
        return not function()["ok"]
    except UserError as error:
        assert "\n" not in str(error)
        return True


def check_changes(sealed, tmp_path, count):
    """Apply one change to each of `count` copies; return how many were made, which equals the count."""
    generator, made = random.Random(0), 0
    cases = itertools.cycle(itertools.product(SEALS, CHANGES))
    for number, (name, change) in enumerate(itertools.islice(cases, count)):
        (export, other), key, public_key = sealed[name]
        copy = shutil.copytree(export, tmp_path / str(number) / "export")
        change(generator, copy, other)
        assert contents(copy) != contents(export), (number, name, change.__name__)
        described = f"change {number} of a {name} export: {change.__name__}"
        assert is_detected(lambda: verify_bundle(copy, key, public_key)), described  # noqa: B023
        output = copy.parent / "plain"
        assert is_detected(lambda: {"ok": unseal_bundle(copy, output, key, public_key)}), described  # noqa: B023
        assert not output.exists()
        shutil.rmtree(copy.parent)
        made += 1
    return made


def test_unchanged_exports_are_accepted(sealed, tmp_path):
    """Otherwise the changes below would prove nothing."""
    for name, ((export, other), key, public_key) in sealed.items():
        assert verify_bundle(export, key, public_key)["ok"] and verify_bundle(other, key, public_key)["ok"]
        assert unseal_bundle(export, tmp_path / name, key, public_key)["trusted_key"]


def test_each_change_is_detected(sealed, tmp_path):
    assert check_changes(sealed, tmp_path, 2 * len(SEALS) * len(CHANGES)) == 66


@pytest.mark.slow
def test_each_of_2000_changes_is_detected(sealed, tmp_path):
    assert check_changes(sealed, tmp_path, 2000) == 2000
