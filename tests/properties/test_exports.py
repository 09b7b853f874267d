"""Files of exports and of models from elsewhere, generated: valid ones come back, damaged ones are refused."""

import base64
import io
import json
import random
import zipfile

import keras
import numpy as np
import pytest
from generated_inputs import SEEDS, damage, damaged, examples, json_values, make_json, overwrite, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from tfpar.cluster.tf_config import TfConfig, read_tf_config
from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle, write_bundle
from tfpar.export.bundle.keys import read_encryption_key, read_public_key, read_signing_key
from tfpar.export.bundle.labels import label_probabilities, parse_labels, write_labels
from tfpar.export.bundle.manifest import MANIFEST, Manifest
from tfpar.export.foreign.pytorch import load_torch
from tfpar.export.foreign.stock_keras import load_keras
from tfpar.export.generic.rows import InputRows
from tfpar.tasks.text_classification import Tokenizer
from tfpar.tasks.text_classification.predict import read_embedding
from tfpar.tasks.translation import SubwordTokenizer
from tfpar.tasks.translation.predict import check_search

pytestmark = pytest.mark.timeout(120)

BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
NAME = st.text(st.characters(codec="utf-8") | st.sampled_from(BREAKS + '"\\'), max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@examples(150)
@given(names=st.lists(NAME, min_size=1, max_size=5, unique=True))
def test_labels_come_back(folder, names):
    write_labels(folder, tuple(names))
    content = (folder / "labels.txt").read_bytes()
    assert parse_labels(content) == names
    assert len(content.decode().splitlines()) == len(names), "a class a line to every reader"


def test_labels_that_do_not_fit_the_model():
    with pytest.raises(UserError, match="labels.txt names 2 classes, and the model has 3"):
        label_probabilities(["a", "b"], np.ones(3))


@examples(100)
@given(content=damaged(b'good\n"a\\nb"\nbad\n') | st.binary(max_size=20))
def test_damaged_labels(content):
    read_or_refuse(parse_labels, content)


PATHS = ["labels.txt", "below/bytes", "../up", "/root", "", ".", "a//b", "a\0b", "\ud800", "x" * 300]


@pytest.fixture(scope="module")
def bundle(folder):
    with write_bundle(folder / "bundle", {"task": "guessing", "exports": [{"format": "float32"}]}) as directory:
        (directory / "labels.txt").write_text("a\nb\n")
        (directory / "below").mkdir()
        (directory / "below" / "bytes").write_bytes(bytes(range(256)))
    return folder / "bundle", (folder / "bundle" / MANIFEST).read_bytes()


def manifest(generator, content):
    """A damaged manifest, or one in which values are of any kind."""
    if generator.random() < 0.5:
        return damage(generator, content)
    fields = json.loads(content)
    for entry in (fields, *fields["files"]):
        key = generator.choice([*entry, "encryption"])
        if generator.random() < 0.5:
            entry[key] = generator.choice(PATHS) if key == "path" else make_json(generator)
    return json.dumps(fields).encode()


def read_all(directory):
    bundle = Bundle(directory)
    bundle.manifest.entries("exports", "format")
    return {name: bundle.read(name) for name in bundle.manifest.files()}


@examples(400)
@given(seed=SEEDS)
def test_manifests(bundle, seed):
    directory, content = bundle
    made = manifest(random.Random(seed), content)
    overwrite(directory / MANIFEST, made)
    found = read_or_refuse(read_all, directory)
    if found is None:
        return
    assert set(found) == set(Manifest(made, directory / MANIFEST).files()) <= {"labels.txt", "below/bytes"}


@examples(30)
@given(content=st.binary(max_size=300), key=st.none() | st.binary(min_size=32, max_size=32))
def test_an_export_comes_back(folder, content, key):
    with write_bundle(folder / "written", {}) as directory:
        (directory / "a").write_bytes(content)
    assert Bundle(folder / "written").read("a") == content
    if key is not None:
        path = overwrite(folder / "key", base64.b64encode(key) + b"\n")
        path.chmod(0o600)
        assert read_encryption_key(f"file:{path}") == key


@examples(200)
@given(
    content=st.binary(max_size=80)
    | damaged(b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n")
)
def test_damaged_keys(folder, content):
    path = overwrite(folder / "damaged_key", content)
    path.chmod(0o600)
    for read, source in ((read_encryption_key, f"file:{path}"), (read_signing_key, f"file:{path}")):
        read_or_refuse(read, source)
    read_or_refuse(read_public_key, str(path))


@examples(150)
@given(
    shape=st.lists(st.sampled_from([-1, 1, 2, 3]), min_size=1, max_size=3),
    given_shape=st.lists(st.integers(0, 3), max_size=4),
    dtypes=st.tuples(
        st.sampled_from(["f4", "i4", "i1", "?"]), st.sampled_from(["f8", "i8", "u1", "?", "U3", "c8", "O"])
    ),
    value=st.sampled_from([0, 1, 300, 1e30]),
)
def test_rows(shape, given_shape, dtypes, value):
    rows = InputRows("x", (1, *shape), np.dtype(dtypes[0]))
    with np.errstate(all="ignore"):
        array = np.full(given_shape, value, "O" if dtypes[1] == "O" else "f8").astype(dtypes[1])
    found = read_or_refuse(rows.fit, array)
    if found is not None:
        assert found.dtype == rows.dtype and found.ndim == len(rows.shape)
        assert all(want in (-1, have) for want, have in zip(rows.shape[1:], found.shape[1:], strict=True))


SEARCH = {"begin_id": 2, "end_id": 3, "beam_size": 5, "max_length": 64, "length_penalty": 0.6, "coverage_penalty": 0.0}


@examples(150)
@given(
    search=st.dictionaries(st.sampled_from([*SEARCH, "odd"]), json_values()).map(lambda odd: SEARCH | odd)
    | json_values()
)
def test_searches(folder, search):
    found = read_or_refuse(check_search, search, folder)
    assert found is None or (found == search and found["begin_id"] < 2**31 and set(found) <= set(SEARCH))
    assert check_search(SEARCH, folder) == SEARCH


def test_embeddings(folder):
    @examples(150)
    @given(content=damaged(as_npy(np.ones((4, 2), np.float32)), as_npy(np.ones(3)), as_npy(np.ones((1, 1), complex))))
    def check(content):
        found = read_or_refuse(read_embedding, content, folder / "embedding.npy")
        assert found is None or (found.ndim == 2 and found.dtype == np.float32)

    check()


def as_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


TEXTS = ["It isn't bad.", "How are you, Ana?", "na\u00efve \u00a1caf\u00e9! 100 %"]
TOKENIZERS = {
    Tokenizer: [Tokenizer.train(TEXTS, kind=kind, min_frequency=1, vocabulary_size=40) for kind in ("word", "bpe")],
    SubwordTokenizer: [SubwordTokenizer.train(TEXTS, min_frequency=1, vocabulary_size=280)],
}
FILES = {kind: [tokenizer._backend.to_str().encode() for tokenizer in trained] for kind, trained in TOKENIZERS.items()}


@examples(100)
@given(text=st.text(max_size=30))
def test_texts_come_back(text):
    tokenizer = TOKENIZERS[SubwordTokenizer][0]
    again = SubwordTokenizer.loads(FILES[SubwordTokenizer][0])
    (ids,) = again.encode([text], 500)
    np.testing.assert_array_equal(ids, tokenizer.encode([text], 500)[0])
    if tokenizer.normalize(text):
        assert again.decode(ids) == tokenizer.normalize(text)


@pytest.mark.parametrize("kind", FILES)
def test_damaged_tokenizers(kind):
    @examples(250)
    @given(content=damaged(*FILES[kind]) | json_values().map(lambda value: json.dumps(value).encode()))
    def check(content):
        found = read_or_refuse(kind.loads, content)
        if found is not None:
            (ids,) = found.encode(["It isn't \u00fcbel"], 8)
            assert ids.dtype == np.int32 and 1 <= len(ids) <= 8 and ids.min() >= 0
            assert ids.max() < found.vocabulary_size

    check()


def torch_file(gates, metadata=None):
    shapes = {"weight_ih_l0": (gates * 2, 3), "weight_hh_l0": (gates * 2, 2), "bias_ih_l0": (gates * 2,)}
    return save({f"rnn.{name}": np.ones(shape, np.float32) for name, shape in shapes.items()}, metadata)


@examples(200)
@given(content=damaged(*(torch_file(gates) for gates in (4, 3, 1, 2))))
def test_damaged_weights(folder, content):
    model = read_or_refuse(load_torch, overwrite(folder / "damaged.safetensors", content))
    assert model is None or model.output_shape[-1] == 2


@pytest.fixture(scope="module")
def keras_file(folder):
    inputs = keras.Input((3, 2))
    keras.Model(inputs, keras.layers.GRU(2)(inputs)).save(folder / "model.keras")
    with zipfile.ZipFile(folder / "model.keras") as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


@examples(40)
@given(seed=SEEDS)
def test_damaged_keras_models(folder, keras_file, seed):
    generator, parts = random.Random(seed), dict(keras_file)
    name = generator.choice([*parts, ""])
    if name:
        parts[name] = damage(generator, parts[name])
    content = zipped(parts) if name else damage(generator, zipped(parts))
    model = read_or_refuse(load_keras, overwrite(folder / "damaged.keras", content))
    assert model is None or model.output_shape[0] is None


WORKERS = ["host0:2222", "[::1]:2223"]
JOB = st.lists(st.sampled_from([*WORKERS, "host", "host:0", "a:99999", ":1", ""]) | json_values(), max_size=3)
TASK = {"type": st.sampled_from(["worker", "chief", "ps"]), "index": st.integers(-1, 2) | st.text("0123", max_size=2)}
CONFIGS = st.fixed_dictionaries(
    {
        "cluster": st.dictionaries(st.sampled_from(["worker", "chief", "ps"]), JOB) | json_values(),
        "task": st.fixed_dictionaries(TASK) | json_values(),
    }
)


@examples(250)
@given(
    text=st.one_of(
        CONFIGS.map(json.dumps),
        json_values().map(json.dumps),
        damaged(json.dumps({"cluster": {"worker": WORKERS}, "task": {"type": "worker", "index": 1}}).encode()).map(
            lambda content: content.decode("utf-8", "surrogateescape")
        ),
    )
)
def test_clusters(text):
    found = read_or_refuse(read_tf_config, {"TF_CONFIG": text})
    assert found is None or found.address in found.workers


@examples(60)
@given(
    names=st.lists(st.from_regex(r"[a-z0-9.-]{1,9}", fullmatch=True), min_size=1, max_size=4, unique=True),
    data=st.data(),
)
def test_a_cluster_comes_back(names, data):
    workers = [f"{name}:{port}" for port, name in enumerate(names, start=1)]
    index = data.draw(st.integers(0, len(names) - 1))
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    assert read_tf_config({"TF_CONFIG": json.dumps(config)}) == TfConfig(tuple(workers), index)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000], ids=["lists", "objects", "digits"])
def test_json_without_end(folder, text):
    """Refused in a sentence, whoever reads it."""
    for read in (
        lambda: read_tf_config({"TF_CONFIG": text}),
        lambda: Manifest(text.encode(), folder / MANIFEST),
        lambda: Tokenizer.loads(text),
    ):
        assert read_or_refuse(read) is None
