"""Keys are written once, readable only by their owner, and read only from files or the environment."""

import base64
import os

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tfpar.errors import MissingExtraError, UserError
from tfpar.export.bundle import keys

SECRET = base64.b64encode(bytes(range(32))).decode()


def mode(path):
    return os.stat(path).st_mode & 0o777


@pytest.fixture
def pair(tmp_path):
    return keys.new_signing_key(str(tmp_path / "signer"))


def test_a_signing_key_fits_its_public_key(pair):
    assert mode(pair["private_key"]) == 0o600
    signing_key = keys.read_signing_key("file:" + pair["private_key"])
    keys.read_public_key(pair["public_key"]).verify(signing_key.sign(b"text"), b"text")


def test_an_encryption_key_is_32_random_bytes(tmp_path):
    paths = [keys.new_encryption_key(str(tmp_path / name))["encryption_key"] for name in "ab"]
    assert [mode(path) for path in paths] == [0o600, 0o600]
    first, second = (keys.read_encryption_key(f"file:{path}") for path in paths)
    assert len(first) == len(second) == 32 and first != second


def test_keys_from_the_environment(pair, monkeypatch):
    monkeypatch.setenv("PEM", open(pair["private_key"]).read())
    monkeypatch.setenv("KEY", SECRET)
    assert keys.read_encryption_key("env:KEY") == bytes(range(32))
    ours, theirs = (keys.read_signing_key(source) for source in ("env:PEM", "file:" + pair["private_key"]))
    assert ours.sign(b"") == theirs.sign(b"")


@pytest.mark.parametrize("there", ["signer.private.pem", "signer.public.pem"])
def test_no_signing_key_is_overwritten(tmp_path, there):
    (tmp_path / there).write_text("precious")
    with pytest.raises(UserError, match=f"{there} exists already"):
        keys.new_signing_key(str(tmp_path / "signer"))
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_no_encryption_key_is_overwritten(tmp_path):
    (tmp_path / "key").write_text("precious")
    with pytest.raises(UserError, match="key exists already"):
        keys.new_encryption_key(str(tmp_path / "key"))
    assert (tmp_path / "key").read_text() == "precious"
    with pytest.raises(UserError, match="cannot be written"):
        keys.new_encryption_key(str(tmp_path / "nowhere" / "key"))


@pytest.mark.parametrize("source", [SECRET, "base64:" + SECRET, "env:" + SECRET, "-----BEGIN PRIVATE KEY-----\nMC4CAQ"])
@pytest.mark.parametrize("read", [keys.read_encryption_key, keys.read_signing_key])
def test_a_key_itself_is_refused_and_not_repeated(read, source):
    with pytest.raises(UserError, match="must be file:PATH or env:NAME. A literal key is refused, since") as raised:
        read(source)
    assert source not in str(raised.value) and SECRET not in str(raised.value)


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match="no environment variable 'ABSENT_KEY'"):
        keys.read_encryption_key("env:ABSENT_KEY")
    with pytest.raises(UserError, match="`signing_key` file:.*absent cannot be read"):
        keys.read_signing_key(f"file:{tmp_path / 'absent'}")
    with pytest.raises(UserError, match="`public_key` .*absent cannot be read"):
        keys.read_public_key(str(tmp_path / "absent"))


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_an_encryption_key_of_another_length(monkeypatch, length):
    monkeypatch.setenv("KEY", base64.b64encode(bytes(length)).decode())
    with pytest.raises(UserError, match=f"must hold 32 bytes in base64; got {length} bytes"):
        keys.read_encryption_key("env:KEY")


@pytest.mark.parametrize("content", ["not base64!", "caf\u00e9", SECRET[:-2]])
def test_an_encryption_key_that_is_no_base64(monkeypatch, content):
    monkeypatch.setenv("KEY", content)
    with pytest.raises(UserError, match="no base64") as raised:
        keys.read_encryption_key("env:KEY")
    assert content not in str(raised.value)


def wrong_pems(pair):
    elliptic, signer = ec.generate_private_key(ec.SECP256K1()), keys.read_signing_key("file:" + pair["private_key"])
    password = serialization.BestAvailableEncryption(b"password")
    forms = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    yield elliptic.private_bytes(*forms, serialization.NoEncryption())
    yield elliptic.public_key().public_bytes(forms[0], serialization.PublicFormat.SubjectPublicKeyInfo)
    yield signer.private_bytes(*forms, password)
    yield from (b"", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n")


def test_wrong_pems(pair, tmp_path):
    others = [*wrong_pems(pair)]
    for read, source, content in (
        *((keys.read_signing_key, "file:", pem) for pem in [*others, open(pair["public_key"], "rb").read()]),
        *((keys.read_public_key, "", pem) for pem in [*others, open(pair["private_key"], "rb").read()]),
    ):
        path = tmp_path / "wrong.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(UserError, match="must hold an Ed25519 (private|public) key as PEM") as raised:
            read(source + str(path))
        assert "MC4CAQ" not in str(raised.value)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o644, 0o660])
def test_private_keys_that_others_can_read(pair, tmp_path, bits):
    secret = keys.new_encryption_key(str(tmp_path / "key"))["encryption_key"]
    for read, path in ((keys.read_signing_key, pair["private_key"]), (keys.read_encryption_key, secret)):
        os.chmod(path, bits)
        with pytest.raises(UserError, match=f"by its owner alone; its mode is {bits:04o}. Run: chmod 600"):
            read(f"file:{path}")
    assert keys.read_public_key(pair["public_key"])


def test_a_key_of_the_other_signature_format(pair, tmp_path):
    elliptic = keys.new_signing_key(str(tmp_path / "elliptic"), "openssf")
    assert keys.read_public_key(elliptic["public_key"]).curve.name == "secp256r1"
    for made, wanted in ((pair, "openssf"), (elliptic, "tfpar")):
        with pytest.raises(UserError, match=f"private key as PEM, without a password, for the format {wanted}"):
            keys.read_signing_key("file:" + made["private_key"], wanted)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tfpar\[seal\]'"):
        keys.new_signing_key("never")
