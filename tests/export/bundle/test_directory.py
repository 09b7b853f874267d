"""An export directory, its manifest, and what `verify_bundle` notices."""

import hashlib
import json

import pytest

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle, write_bundle
from tfpar.export.bundle.verify import verify_bundle


@pytest.fixture
def bundle(tmp_path, exported):
    """A written bundle of one TFLite file and others, some in a directory below."""
    path = tmp_path / "bundle"
    with write_bundle(path, {"task": "guessing"}) as directory:
        (directory / "labels.txt").write_text("a\nb\n")
        (directory / "below").mkdir()
        (directory / "below" / "bytes").write_bytes(bytes(range(256)))
        (directory / "model.float32.tflite").write_bytes(exported("float32").path.read_bytes())
    return path


def test_the_manifest_lists_every_file(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["task"] == "guessing"
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {entry["path"] for entry in manifest["files"]} == names - {"manifest.json"}
    for entry in manifest["files"]:
        content = (bundle / entry["path"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)


def test_facts_may_be_added_while_it_is_written(tmp_path):
    manifest = {}
    with write_bundle(tmp_path / "b", manifest):
        manifest["late"] = 1
    assert Bundle(tmp_path / "b").manifest["late"] == 1


def test_a_failure_writes_nothing(tmp_path):
    with pytest.raises(RuntimeError), write_bundle(tmp_path / "b", {}) as directory:
        (directory / "labels.txt").touch()
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_an_untouched_bundle_is_well(bundle):
    assert verify_bundle(bundle) == {
        "ok": True,
        "files": 3,
        "changed": [],
        "missing": [],
        "unlisted": [],
        "ran": ["model.float32.tflite"],
    }


def test_a_changed_byte(bundle):
    content = bytearray((bundle / "below" / "bytes").read_bytes())
    content[100] ^= 1
    (bundle / "below" / "bytes").write_bytes(content)
    report = verify_bundle(bundle)
    assert not report["ok"] and report["changed"] == ["below/bytes"]


def test_a_missing_file(bundle):
    (bundle / "labels.txt").unlink()
    report = verify_bundle(bundle)
    assert not report["ok"] and report["missing"] == ["labels.txt"]


def test_a_missing_model(bundle):
    (bundle / "model.float32.tflite").unlink()
    report = verify_bundle(bundle)
    assert not report["ok"] and report["missing"] == ["model.float32.tflite"] and report["ran"] == []


@pytest.mark.parametrize("name", ["notes.txt", "below/manifest.json", "model.extra.tflite"])
def test_an_extra_file(bundle, name):
    (bundle / name).write_text("not from here")
    report = verify_bundle(bundle)
    assert not report["ok"] and report["unlisted"] == [name]


@pytest.mark.parametrize("fraction", [0, 0.5, 0.99])
def test_a_truncated_model(bundle, fraction):
    path = bundle / "model.float32.tflite"
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    report = verify_bundle(bundle)
    assert not report["ok"]
    assert report["changed"] == ["model.float32.tflite"] and report["ran"] == []


def test_not_an_export(tmp_path):
    with pytest.raises(UserError, match="is not an export"):
        verify_bundle(tmp_path)
    with pytest.raises(UserError, match="is not an export"):
        verify_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"files": 3}', '{"name": "a web app", "icons": []}'])
def test_a_manifest_of_something_else(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match="manifest"):
        verify_bundle(tmp_path)
