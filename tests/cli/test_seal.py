"""`tfpar seal` and `unseal`, and what `predict` and `verify` make of sealed exports."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

TEXT = "a gripping film"


@dataclasses.dataclass(frozen=True)
class Keys:
    """Arguments that name key files."""

    private: str
    public: str
    other: str
    encryption: str
    wrong: str

    @property
    def fingerprint(self):
        raw = load_pem_public_key(Path(self.public).read_bytes()).public_bytes_raw()
        return hashlib.sha256(raw).hexdigest()


def read_json(run, returncode=0):
    assert run.returncode == returncode, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def keys(tfpar, tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    own, other = (read_json(tfpar("seal", "--new_signing_key", directory / name)) for name in ("own", "other"))
    secret, wrong = (
        read_json(tfpar("seal", "--new_encryption_key", directory / name))["encryption_key"]
        for name in ("key", "wrong")
    )
    return Keys(
        private="file:" + own["private_key"],
        public=own["public_key"],
        other=other["public_key"],
        encryption="file:" + secret,
        wrong="file:" + wrong,
    )


@pytest.fixture(scope="module")
def signed(tfpar, export_dir, keys, tmp_path_factory):
    path = tmp_path_factory.mktemp("signed") / "export"
    read_json(tfpar("seal", export_dir, "--signing_key", keys.private, "--output", path))
    return path


@pytest.fixture(scope="module")
def encrypted(tfpar, export_dir, keys, tmp_path_factory):
    path = tmp_path_factory.mktemp("encrypted") / "export"
    shutil.copytree(export_dir, path)
    report = read_json(tfpar("seal", path, "--signing_key", keys.private, "--encryption_key", keys.encryption))
    assert report["path"] == str(path) and report["encrypted"] is True
    return path


def test_no_file_of_an_encrypted_export_is_plain(encrypted, export_dir):
    for path in export_dir.rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            sealed = (encrypted / path.relative_to(export_dir)).read_bytes()
            assert len(sealed) == path.stat().st_size + 28 and path.read_bytes() not in sealed


def test_predict(tfpar, export_dir, signed, encrypted, keys):
    plain = read_json(tfpar("predict", export_dir, TEXT))
    assert "trusted_key" not in plain
    assert read_json(tfpar("predict", signed, TEXT, "--allow_unsigned")) == {**plain, "trusted_key": None}
    found = read_json(tfpar("predict", signed, TEXT, "--public_key", keys.public))
    assert found == {**plain, "trusted_key": keys.fingerprint}
    opened = ("--encryption_key", keys.encryption, "--public_key", keys.public)
    assert read_json(tfpar("predict", encrypted, TEXT, *opened)) == found
    line = read_json(tfpar("predict", signed, TEXT, "--public_key", keys.public, "--output", "jsonl"))
    assert line == {**plain["predictions"][0], "trusted_key": keys.fingerprint}
    header, row = tfpar("predict", signed, TEXT, "--allow_unsigned", "--output", "csv").stdout.splitlines()
    assert header.endswith(",trusted_key,error") and row.endswith(",,")


def test_verify(tfpar, signed, encrypted, keys):
    ran, pinned = ["model.float32.tflite", "model.int8.tflite"], ("--public_key", keys.public)
    untrusted = read_json(tfpar("verify", signed, "--allow_unsigned"))
    assert untrusted["ok"] and untrusted["ran"] == ran and untrusted["signature"]["trusted"] is False
    assert untrusted["trusted_key"] is None
    trusted = read_json(tfpar("verify", signed, *pinned))
    assert trusted["signature"] == {"key": keys.fingerprint, "trusted": True}
    assert trusted["trusted_key"] == keys.fingerprint
    closed = read_json(tfpar("verify", encrypted, *pinned))
    assert closed["ok"] and closed["ran"] == [] and closed["encrypted"] is True
    assert read_json(tfpar("verify", encrypted, *pinned, "--encryption_key", keys.encryption))["ran"] == ran


def test_a_pinned_key_refuses_others(tfpar, export_dir, signed, keys, tmp_path):
    for command in (["predict", "DIR", TEXT], ["verify", "DIR"], ["unseal", "DIR", "--output", tmp_path / "out"]):
        for directory, public_key, words in (
            (export_dir, keys.public, "is not signed"),
            (signed, keys.other, "someone else has signed the export"),
            (signed, keys.private.removeprefix("file:"), "must hold an Ed25519 public key"),
            (signed, None, "there is no --public_key to check its origin. Give the signer's .public.pem, or --allow_"),
        ):
            arguments = [directory if argument == "DIR" else argument for argument in command]
            pinned = ("--public_key", public_key) if public_key else ()
            assert words in tfpar(*arguments, *pinned).error
    assert not (tmp_path / "out").exists()


def test_the_key_that_the_environment_pins(tfpar, export_dir, signed, keys, monkeypatch):
    monkeypatch.setenv("TFPAR_PUBLIC_KEY", keys.public)
    assert read_json(tfpar("verify", signed))["trusted_key"] == keys.fingerprint
    assert "is not signed" in tfpar("predict", export_dir, TEXT).error
    assert read_json(tfpar("predict", export_dir, TEXT, "--allow_unsigned"))["predictions"]
    assert "someone else" in tfpar("verify", signed, "--public_key", keys.other).error


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "model.float32.tflite", "tokenizer.json"])
def test_a_changed_file_is_named(tfpar, signed, keys, tmp_path, name):
    copy = shutil.copytree(signed, tmp_path / "copy")
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    pinned = ("--public_key", keys.public)
    assert name in tfpar("predict", copy, TEXT, *pinned).error
    run = tfpar("verify", copy, *pinned)
    found = read_json(run, 1)
    assert found["ok"] is False and len(found["changed"]) == 1
    assert name in (run.stderr if name.startswith("manifest") else found["changed"])


def test_wrong_and_missing_encryption_keys(tfpar, export_dir, encrypted, keys):
    pinned = ("--public_key", keys.public)
    assert "is encrypted; give --encryption_key" in tfpar("predict", encrypted, TEXT, *pinned).error
    for command in (["predict", encrypted, TEXT, *pinned], ["verify", encrypted, *pinned]):
        assert "cannot be decrypted" in tfpar(*command, "--encryption_key", keys.wrong).error
    assert "is not encrypted" in tfpar("predict", export_dir, TEXT, "--encryption_key", keys.encryption).error


def test_unseal(tfpar, export_dir, encrypted, keys, tmp_path):
    out = tmp_path / "out"
    arguments = ("--output", out, "--encryption_key", keys.encryption, "--public_key", keys.public)
    report = read_json(tfpar("unseal", encrypted, *arguments))
    assert report["encrypted"] is False and report["trusted_key"] == keys.fingerprint
    files = [path.relative_to(export_dir) for path in export_dir.rglob("*") if path.is_file()]
    assert {path.relative_to(out) for path in out.rglob("*") if path.is_file()} == set(files)
    assert all((out / path).read_bytes() == (export_dir / path).read_bytes() for path in files)


def test_openssf(tfpar, export_dir, tmp_path):
    """The command of OpenSSF Model Signing verifies it, and so do ours."""
    own, other = (
        read_json(tfpar("seal", "--new_signing_key", tmp_path / name, "--format", "openssf"))
        for name in ("own", "other")
    )
    sealed = tmp_path / "sealed"
    arguments = ("--format", "openssf", "--signing_key", "file:" + own["private_key"], "--output", sealed)
    report = read_json(tfpar("seal", export_dir, *arguments))
    assert (sealed / "model.sig").exists() and not (sealed / "manifest.sig").exists()
    foreign = (sys.executable, "-m", "model_signing", "verify", "key", sealed, "--signature", sealed / "model.sig")

    def is_verified(public_key):
        return subprocess.run([*foreign, "--public_key", public_key], capture_output=True).returncode == 0

    assert is_verified(own["public_key"]) and not is_verified(other["public_key"])
    trusted = read_json(tfpar("verify", sealed, "--public_key", own["public_key"]))
    assert trusted["ok"] and trusted["trusted_key"] == report["signature"]["key"]
    assert "someone else" in tfpar("predict", sealed, TEXT, "--public_key", other["public_key"]).error
    assert "there is no --public_key" in tfpar("predict", sealed, TEXT).error
    (sealed / "labels.txt").write_text("changed")
    assert not is_verified(own["public_key"])
    assert "labels.txt" in tfpar("predict", sealed, TEXT, "--public_key", own["public_key"]).error


def test_a_literal_key_is_not_repeated(tfpar, export_dir, encrypted, keys, tmp_path):
    secret = Path(keys.encryption.removeprefix("file:")).read_text().strip()
    for command in (
        ["predict", encrypted, TEXT, "--encryption_key", secret],
        ["verify", encrypted, "--encryption_key", secret],
        ["unseal", encrypted, "--output", tmp_path / "out", "--encryption_key", secret],
        ["seal", export_dir, "--output", tmp_path / "out", "--signing_key", secret],
        ["seal", export_dir, "--output", tmp_path / "out", "--signing_key", keys.private, "--encryption_key", secret],
    ):
        error = tfpar(*command).error
        assert "_key must be file:PATH or env:NAME" in error and "`" not in error
        assert "shells store them" in error and secret not in error
    assert not (tmp_path / "out").exists()


REFUSED = [
    ([], "one of the arguments --signing_key --new_signing_key --new_encryption_key is required"),
    (["--signing_key", "KEY"], "export_dir is required"),
    (["DIR", "--new_signing_key", "prefix"], "are not allowed with a new key"),
    (["--new_encryption_key", "file", "--output", "out"], "are not allowed with a new key"),
    (["nowhere", "--signing_key", "KEY"], "nowhere is not an export"),
    (["SIGNED", "--signing_key", "KEY"], "is signed already"),
    (["DIR", "--signing_key", "file:absent"], "cannot be read"),
    (["DIR", "--signing_key", "SECRET"], "must hold an Ed25519 private key as PEM"),
    (["DIR", "--signing_key", "KEY", "--encryption_key", "KEY"], "must hold 32 bytes in base64"),
]


@pytest.mark.parametrize("arguments, words", REFUSED)
def test_refusals(tfpar, export_dir, signed, keys, arguments, words):
    names = {"DIR": export_dir, "SIGNED": signed, "KEY": keys.private, "SECRET": keys.encryption}
    assert words in tfpar("seal", *(names.get(argument, argument) for argument in arguments)).error
    assert not (export_dir / "manifest.sig").exists()
