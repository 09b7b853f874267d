"""`seal_bundle` and `unseal_bundle`: outputs, refusals, and that a failure writes nothing."""

import base64
import json
import os
from pathlib import Path

import pytest

from tfpar.errors import ChangedFileError, UntrustedExportError, UserError
from tfpar.export.bundle import encryption
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.seal import seal_bundle, unseal_bundle
from tfpar.export.bundle.verify import verify_bundle
from tfpar.tasks.predictors import load_predictor

KEY = bytes(range(32))


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_signed_in_place(plain, signing_key):
    before = contents(plain)
    report = seal_bundle(plain, signing_key)
    after = contents(plain)
    signature = json.loads(after.pop("manifest.sig"))
    assert after == before
    assert report["files"] == 2 and report["encrypted"] is False and len(report["signature"]["key"]) == 64
    assert signature["algorithm"] == "Ed25519"
    assert base64.b64decode(signature["public_key"]) == signing_key.public_key().public_bytes_raw()
    signing_key.public_key().verify(base64.b64decode(signature["signature"]), before["manifest.json"])
    assert [path.name for path in plain.parent.iterdir() if path.name.startswith(".")] == []


def test_the_directory_that_one_is_in(plain, signing_key, monkeypatch):
    monkeypatch.chdir(plain)
    assert seal_bundle(".", signing_key)["path"] == str(plain)
    assert Bundle(plain, public_key=signing_key.public_key()).trusted_key


def test_encrypted_beside(plain, signing_key, tmp_path):
    before, sealed = contents(plain), tmp_path / "sealed"
    assert seal_bundle(plain, signing_key, KEY, sealed)["encrypted"] is True
    assert contents(plain) == before
    manifest = json.loads((sealed / "manifest.json").read_text())
    assert manifest["encryption"]["algorithm"] == "AES-256-GCM"
    after = contents(sealed)
    assert set(after) == {*before, "manifest.sig"}
    for name in ("labels.txt", "below/bytes"):
        assert len(after[name]) == 12 + len(before[name]) + 16 and before[name] not in after[name]
        assert Bundle(sealed, KEY, signing_key.public_key()).read(name) == before[name]


def test_a_nonce_serves_once(plain, signing_key, tmp_path):
    nonces = set()
    for name in ("once", "again"):
        seal_bundle(plain, signing_key, KEY, tmp_path / name)
        nonces |= {(tmp_path / name / file).read_bytes()[:12] for file in ("labels.txt", "below/bytes")}
    assert len(nonces) == 4


@pytest.mark.parametrize("key", [None, KEY])
def test_unsealed_it_is_as_before(plain, signing_key, tmp_path, key):
    seal_bundle(plain, signing_key, key, tmp_path / "sealed")
    unseal_bundle(tmp_path / "sealed", tmp_path / "again", key, signing_key.public_key())
    assert contents(tmp_path / "again") == contents(plain)


def test_verified_without_and_with_the_key(plain, signing_key):
    seal_bundle(plain, signing_key, KEY)
    found = verify_bundle(plain, allow_unsigned=True)
    assert found["ok"] and found["encrypted"] and found["signature"]["trusted"] is False
    assert found["trusted_key"] is None
    with pytest.raises(UntrustedExportError, match="there is no `public_key`"):
        verify_bundle(plain)
    assert verify_bundle(plain, KEY, signing_key.public_key())["signature"]["trusted"] is True
    (plain / "labels.txt").write_text("a\nc\n")
    found = verify_bundle(plain, public_key=signing_key.public_key())
    assert not found["ok"] and found["changed"] == ["labels.txt"]


def test_decrypted_files_are_private(plain, signing_key, tmp_path):
    seal_bundle(plain, signing_key, KEY, tmp_path / "encrypted")
    seal_bundle(plain, signing_key, output=tmp_path / "signed")
    for name, key, mode in (("encrypted", KEY, 0o600), ("signed", None, (plain / "labels.txt").stat().st_mode & 0o777)):
        unseal_bundle(tmp_path / name, tmp_path / "out", key, signing_key.public_key())
        assert {(tmp_path / "out" / file).stat().st_mode & 0o777 for file in ("labels.txt", "below/bytes")} == {mode}


UNLISTED = {
    "a file": lambda path: path.touch(),
    "a link": lambda path: path.symlink_to("labels.txt"),
    "a broken link": lambda path: path.symlink_to("nowhere"),
    "a link to a directory": lambda path: path.symlink_to("below"),
    "a FIFO": os.mkfifo,
    "an empty directory": Path.mkdir,
}


@pytest.mark.parametrize("make", UNLISTED.values(), ids=UNLISTED)
def test_unlisted_entries_of_any_kind(plain, signing_key, tmp_path, make):
    sealed, public_key = tmp_path / "sealed", signing_key.public_key()
    seal_bundle(plain, signing_key, output=sealed)
    for directory in (plain, sealed):
        make(directory / "below" / "extra")
    with pytest.raises(UserError, match="so it is not signed; unlisted: below/extra"):
        seal_bundle(plain, signing_key)
    (found,) = verify_bundle(sealed, public_key=public_key)["unlisted"]
    assert found.rstrip("/") == "below/extra"
    words = "below/extra/? was changed: it is not listed"
    with pytest.raises(ChangedFileError, match=words):
        unseal_bundle(sealed, tmp_path / "out", None, public_key)
    with pytest.raises(ChangedFileError, match=words):
        load_predictor(Bundle(sealed, public_key=public_key))
    assert not (tmp_path / "out").exists()


def test_sealing_twice(plain, signing_key):
    seal_bundle(plain, signing_key)
    before = contents(plain)
    with pytest.raises(UserError, match="is signed already. Seal the plain export"):
        seal_bundle(plain, signing_key)
    assert contents(plain) == before


def test_sealing_an_encrypted_bundle(plain, signing_key):
    seal_bundle(plain, signing_key, KEY)
    (plain / "manifest.sig").unlink()
    with pytest.raises(UserError, match="is encrypted already"):
        seal_bundle(plain, signing_key, KEY)


@pytest.mark.parametrize("what", ["changed", "missing", "unlisted"])
def test_files_that_do_not_match_are_not_signed(plain, signing_key, what):
    name = "notes.txt" if what == "unlisted" else "labels.txt"
    (plain / name).write_text("other")
    if what == "missing":
        (plain / name).unlink()
    before = contents(plain)
    with pytest.raises(UserError, match=f"so it is not signed; {what}: {name}"):
        seal_bundle(plain, signing_key)
    assert contents(plain) == before


def test_the_wrong_encryption_key(plain, signing_key, tmp_path):
    seal_bundle(plain, signing_key, KEY)
    with pytest.raises(UserError, match="below/bytes cannot be decrypted: `encryption_key` is not the key"):
        unseal_bundle(plain, tmp_path / "out", KEY[::-1], signing_key.public_key())
    with pytest.raises(UserError, match="below/bytes is encrypted; give `encryption_key`"):
        unseal_bundle(plain, tmp_path / "out", public_key=signing_key.public_key())
    assert not (tmp_path / "out").exists()


def test_unsealing_a_changed_or_plain_export(plain, signing_key, tmp_path):
    with pytest.raises(UserError, match="is not sealed"):
        unseal_bundle(plain, tmp_path / "out")
    seal_bundle(plain, signing_key)
    (plain / "labels.txt").write_text("other")
    with pytest.raises(ChangedFileError, match="labels.txt was changed"):
        unseal_bundle(plain, tmp_path / "out", public_key=signing_key.public_key())
    assert not (tmp_path / "out").exists()


def test_an_output_that_would_change_the_source(plain, signing_key):
    with pytest.raises(UserError, match="name another directory"):
        seal_bundle(plain, signing_key, output=plain / "sealed")
    assert set(contents(plain)) == {"manifest.json", "labels.txt", "below/bytes"}


def test_a_directory_of_other_files_is_not_replaced(plain, signing_key, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "photo").touch()
    with pytest.raises(UserError, match="holds other files"):
        seal_bundle(plain, signing_key, output=tmp_path / "photos")
    assert set(contents(tmp_path / "photos")) == {"photo"}


def test_a_file_that_is_too_large(plain, signing_key, monkeypatch):
    monkeypatch.setattr(encryption, "LARGEST_BYTES", 100)
    with pytest.raises(UserError, match="below/bytes has 256 bytes; at most 100"):
        seal_bundle(plain, signing_key, KEY)
    assert "manifest.sig" not in contents(plain)
