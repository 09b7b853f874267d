"""`Bundle` hands out what was exported, and nothing else."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tfpar.errors import ChangedFileError, UntrustedExportError, UserError
from tfpar.export.bundle.directory import Bundle, write_bundle
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


def test_links_within_the_export_are_followed_and_others_refused(plain):
    outside = plain.parent / "outside"
    (plain / "labels.txt").rename(plain / "below" / "labels")
    (plain / "labels.txt").symlink_to("below/labels")
    assert Bundle(plain).read("labels.txt") == b"a\nb\n"
    (plain / "below" / "labels").rename(outside)
    (plain / "labels.txt").unlink()
    (plain / "labels.txt").symlink_to(outside)
    with pytest.raises(UserError, match="labels.txt cannot be read: it is a link out of the export"):
        Bundle(plain).read("labels.txt")


@pytest.mark.parametrize("name", ["manifest.json", "below"])
def test_a_link_out_of_the_export_in_another_place(plain, name):
    (plain / name).rename(plain.parent / "outside")
    (plain / name).symlink_to(plain.parent / "outside")
    with pytest.raises(UserError, match="it is a link out of the export"):
        Bundle(plain).read("below/bytes")


def test_a_directory_that_is_a_link_itself(plain):
    (plain.parent / "link").symlink_to(plain)
    assert Bundle(plain.parent / "link").read("labels.txt") == b"a\nb\n"


@pytest.mark.parametrize("encryption", [{}, {"export_id": "0" * 32}, {"export_id": 3}, "AES"])
def test_malformed_encryption(encrypted, encryption):
    edit(encrypted, lambda manifest: manifest.update(encryption=encryption))
    (encrypted / "manifest.sig").unlink()
    with pytest.raises(UserError, match="does not know"):
        Bundle(encrypted, KEY, allow_unsigned=True)


@pytest.mark.parametrize("files", [3, ["labels.txt"], [{"path": "labels.txt"}], [{"path": 1, "sha256": ""}]])
def test_a_malformed_list(plain, files):
    edit(plain, lambda manifest: manifest.update(files=files))
    with pytest.raises(UserError, match="manifest.json"):
        Bundle(plain).read("labels.txt")


def test_a_signed_export_needs_a_pinned_key(signed, signing_key):
    key = hashlib.sha256(signing_key.public_key().public_bytes_raw()).hexdigest()
    with pytest.raises(UntrustedExportError, match=f"is signed by the key {key}, but there is no `public_key`"):
        Bundle(signed)
    bundle = Bundle(signed, public_key=signing_key.public_key())
    assert bundle.signature == {"key": key, "trusted": True} and bundle.trusted_key == key
    bundle = Bundle(signed, allow_unsigned=True)
    assert bundle.signature == {"key": key, "trusted": False} and bundle.trusted_key is None


@pytest.mark.parametrize("pinned", [False, True])
def test_any_change_of_manifest_or_signature(signed, signing_key, pinned):
    public_key = signing_key.public_key() if pinned else None
    for name in ("manifest.json", "manifest.sig"):
        content = (signed / name).read_bytes()
        for offset in range(0, len(content), 11):
            flip(signed / name, offset)
            with pytest.raises(UserError, match="manifest"):
                Bundle(signed, public_key=public_key, allow_unsigned=not pinned)
            (signed / name).write_bytes(content)
    assert Bundle(signed, public_key=public_key, allow_unsigned=not pinned).read("labels.txt") == b"a\nb\n"


@pytest.mark.parametrize("change", [lambda text: text + "\n", lambda text: text.replace("\n", ""), lambda text: "[]"])
def test_a_signature_written_otherwise(signed, change):
    path = signed / "manifest.sig"
    path.write_text(change(path.read_text()))
    with pytest.raises(ChangedFileError, match="manifest.sig was changed"):
        Bundle(signed, allow_unsigned=True)


def test_a_pinned_key_wants_its_own_signature(plain, signing_key, tmp_path):
    pinned = signing_key.public_key()
    with pytest.raises(UntrustedExportError, match="is not signed, but `public_key` is given"):
        Bundle(plain, public_key=pinned)
    assert Bundle(plain, public_key=pinned, allow_unsigned=True).signature is None
    other = read_signing_key("file:" + new_signing_key(str(tmp_path / "other"))["private_key"])
    seal_bundle(plain, other)
    with pytest.raises(UntrustedExportError, match="someone else has signed the export"):
        Bundle(plain, public_key=pinned)
    assert Bundle(plain, public_key=pinned, allow_unsigned=True).signature["trusted"] is False


def test_an_encrypted_export_needs_its_signature(encrypted, signing_key):
    assert Bundle(encrypted, KEY, signing_key.public_key()).read("labels.txt") == b"a\nb\n"
    (encrypted / "manifest.sig").unlink()
    with pytest.raises(UntrustedExportError, match="is encrypted, but its signature is missing"):
        Bundle(encrypted, KEY)


def test_encrypted_files_belong_to_one_export(plain, signing_key, tmp_path):
    """The files of two exports have the same paths, and the same key encrypts them."""
    for name in ("old", "new"):
        seal_bundle(plain, signing_key, KEY, tmp_path / name)
    content = (tmp_path / "old" / "labels.txt").read_bytes()
    (tmp_path / "new" / "labels.txt").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    edit(tmp_path / "new", lambda manifest: manifest["files"][1].update(sha256=sha256))
    (tmp_path / "new" / "manifest.sig").unlink()
    with pytest.raises(UserError, match="labels.txt cannot be decrypted.*one of another export"):
        Bundle(tmp_path / "new", KEY, allow_unsigned=True).read("labels.txt")


def test_an_export_that_was_encrypted_before_exports_had_ids(plain, signing_key, tmp_path):
    """Written as tfpar 0.1 did: the path alone is the associated data."""
    old = {
        "algorithm": "AES-256-GCM",
        "layout": "nonce (12 bytes), ciphertext, tag (16 bytes)",
        "associated_data": "the file's path in the bundle, UTF-8",
    }
    with write_bundle(tmp_path / "old", {"task": "guessing", "encryption": old}, signing_key) as directory:
        (directory / "labels.txt").write_bytes(bytes(12) + AESGCM(KEY).encrypt(bytes(12), b"a\nb\n", b"labels.txt"))
    assert Bundle(tmp_path / "old", KEY, signing_key.public_key()).read("labels.txt") == b"a\nb\n"


@pytest.mark.parametrize("version", [2, 0, -1, "1", 1.0, True, None])
def test_other_manifest_versions(plain, version):
    edit(plain, lambda manifest: manifest.update(manifest_version=version))
    words = "Install a newer tfpar" if version == 2 else "manifest_version must be an integer from 1"
    with pytest.raises(UserError, match=words):
        Bundle(plain)


def test_files_of_an_encrypted_bundle_cannot_change_places(encrypted, signing_key):
    first, second = encrypted / "labels.txt", encrypted / "below" / "bytes"
    labels = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(labels)
    with pytest.raises(ChangedFileError, match="labels.txt was changed"):
        Bundle(encrypted, KEY, signing_key.public_key()).read("labels.txt")
    (encrypted / "manifest.sig").unlink()

    def follow(manifest):
        below, labels = manifest["files"]
        below["sha256"], labels["sha256"] = labels["sha256"], below["sha256"]

    edit(encrypted, follow)
    with pytest.raises(UserError, match="labels.txt cannot be decrypted.*was replaced"):
        Bundle(encrypted, KEY, allow_unsigned=True).read("labels.txt")


def test_an_encrypted_file_that_is_cut_short(encrypted):
    (encrypted / "manifest.sig").unlink()
    for size in (0, 5, 12, 20):
        content = (encrypted / "labels.txt").read_bytes()[:size]
        (encrypted / "labels.txt").write_bytes(content)
        edit(encrypted, lambda m, c=content: m["files"][1].update(sha256=hashlib.sha256(c).hexdigest()))
        with pytest.raises(UserError, match="labels.txt cannot be decrypted"):
            Bundle(encrypted, KEY, allow_unsigned=True).read("labels.txt")


def test_a_key_for_a_plain_export(plain):
    with pytest.raises(UserError, match="is not encrypted, but `encryption_key` is given"):
        Bundle(plain, KEY)


def test_an_unknown_encryption(plain):
    edit(plain, lambda manifest: manifest.update(encryption={"algorithm": "ROT13"}))
    with pytest.raises(UserError, match="does not know.*ROT13"):
        Bundle(plain, KEY)
