"""`Bundle` hands out what was exported, and nothing else."""

import hashlib
import json

import pytest

from tfpar.errors import ChangedFileError, UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.keys import new_signing_key, read_signing_key
from tfpar.export.bundle.seal import seal_bundle

KEY = bytes(range(32))


def edit(directory, change):
    """Rewrites the manifest as somebody could who has no key."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.fixture
def signed(plain, signing_key):
    seal_bundle(plain, signing_key)
    return plain


@pytest.fixture
def encrypted(plain, signing_key):
    seal_bundle(plain, signing_key, KEY)
    return plain


def test_a_plain_bundle(plain):
    bundle = Bundle(plain)
    assert bundle.read("labels.txt") == b"a\nb\n" and bundle.read("below/bytes") == bytes(range(256))
    assert bundle.signature is None and bundle.is_encrypted is False and bundle.manifest["task"] == "guessing"


def test_a_changed_a_missing_and_an_unlisted_file(plain):
    flip(plain / "below" / "bytes", 9)
    (plain / "labels.txt").unlink()
    (plain / "notes.txt").touch()
    with pytest.raises(ChangedFileError, match="below/bytes was changed"):
        Bundle(plain).read("below/bytes")
    with pytest.raises(UserError, match="labels.txt cannot be read"):
        Bundle(plain).read("labels.txt")
    with pytest.raises(UserError, match="notes.txt is not listed in manifest.json"):
        Bundle(plain).read("notes.txt")


@pytest.mark.parametrize("name", ["../secret", "below/../../secret", "/etc/hostname", "./labels.txt", "", ".", "a\0b"])
def test_paths_outside_the_directory(plain, name):
    content = b"not of this export"
    (plain.parent / "secret").write_bytes(content)
    entry = {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit(plain, lambda manifest: manifest["files"].append(entry))
    with pytest.raises(UserError, match="is not a path within the export"):
        Bundle(plain).read(name)
    with pytest.raises(UserError, match="is not a path within the export"):
        Bundle(plain).read("labels.txt")


def test_a_link_shows_only_exported_files(plain):
    """Caches of downloads link to files elsewhere; what counts is their content."""
    outside = plain.parent / "outside"
    (plain / "labels.txt").rename(outside)
    (plain / "labels.txt").symlink_to(outside)
    assert Bundle(plain).read("labels.txt") == b"a\nb\n"
    outside.write_text("secret")
    with pytest.raises(ChangedFileError, match="labels.txt was changed"):
        Bundle(plain).read("labels.txt")


@pytest.mark.parametrize("files", [3, ["labels.txt"], [{"path": "labels.txt"}], [{"path": 1, "sha256": ""}]])
def test_a_malformed_list(plain, files):
    edit(plain, lambda manifest: manifest.update(files=files))
    with pytest.raises(UserError, match="manifest.json"):
        Bundle(plain).read("labels.txt")


def test_a_signature_without_a_pinned_key(signed, signing_key):
    bundle = Bundle(signed)
    key = hashlib.sha256(signing_key.public_key().public_bytes_raw()).hexdigest()
    assert bundle.signature == {"key": key, "trusted": False}
    assert Bundle(signed, public_key=signing_key.public_key()).signature == {"key": key, "trusted": True}


@pytest.mark.parametrize("pinned", [False, True])
def test_any_change_of_manifest_or_signature(signed, signing_key, pinned):
    public_key = signing_key.public_key() if pinned else None
    for name in ("manifest.json", "manifest.sig"):
        content = (signed / name).read_bytes()
        for offset in range(len(content)):
            flip(signed / name, offset)
            with pytest.raises(UserError, match="manifest"):
                Bundle(signed, public_key=public_key)
            (signed / name).write_bytes(content)
    assert Bundle(signed, public_key=public_key).read("labels.txt") == b"a\nb\n"


@pytest.mark.parametrize("change", [lambda text: text + "\n", lambda text: text.replace("\n", ""), lambda text: "[]"])
def test_a_signature_written_otherwise(signed, change):
    path = signed / "manifest.sig"
    path.write_text(change(path.read_text()))
    with pytest.raises(ChangedFileError, match="manifest.sig was changed"):
        Bundle(signed)


def test_a_pinned_key_wants_its_own_signature(plain, signing_key, tmp_path):
    with pytest.raises(UserError, match="is not signed"):
        Bundle(plain, public_key=signing_key.public_key())
    other = read_signing_key("file:" + new_signing_key(str(tmp_path / "other"))["private_key"])
    seal_bundle(plain, other)
    assert Bundle(plain).signature["trusted"] is False
    with pytest.raises(UserError, match="someone else has signed the export"):
        Bundle(plain, public_key=signing_key.public_key())


def test_files_of_an_encrypted_bundle_cannot_change_places(encrypted):
    first, second = encrypted / "labels.txt", encrypted / "below" / "bytes"
    labels = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(labels)
    with pytest.raises(ChangedFileError, match="labels.txt was changed"):
        Bundle(encrypted, KEY).read("labels.txt")
    (encrypted / "manifest.sig").unlink()

    def follow(manifest):
        below, labels = manifest["files"]
        below["sha256"], labels["sha256"] = labels["sha256"], below["sha256"]

    edit(encrypted, follow)
    with pytest.raises(UserError, match="labels.txt cannot be decrypted.*was replaced"):
        Bundle(encrypted, KEY).read("labels.txt")


def test_an_encrypted_file_that_is_cut_short(encrypted):
    (encrypted / "manifest.sig").unlink()
    for size in (0, 5, 12, 20):
        content = (encrypted / "labels.txt").read_bytes()[:size]
        (encrypted / "labels.txt").write_bytes(content)
        edit(encrypted, lambda m, c=content: m["files"][1].update(sha256=hashlib.sha256(c).hexdigest()))
        with pytest.raises(UserError, match="labels.txt cannot be decrypted"):
            Bundle(encrypted, KEY).read("labels.txt")


def test_a_key_for_a_plain_export(plain):
    with pytest.raises(UserError, match="is not encrypted, but `encryption_key` is given"):
        Bundle(plain, KEY)


def test_an_unknown_encryption(plain):
    edit(plain, lambda manifest: manifest.update(encryption={"algorithm": "ROT13"}))
    with pytest.raises(UserError, match="does not know.*ROT13"):
        Bundle(plain, KEY)
