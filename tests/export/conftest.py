"""A small padded bidirectional model, and its files: one conversion a format for the whole session."""

import dataclasses

import keras
import numpy as np
import pytest

import tfpar
from tfpar.export.bundle.directory import write_bundle
from tfpar.export.bundle.keys import new_signing_key, read_signing_key
from tfpar.export.conversion import measured_file
from tfpar.export.conversion.interpreter import TFLiteModel

VOCABULARY, TIME = 20, 8


@dataclasses.dataclass(frozen=True)
class Exported:
    """A file: its path, the report of `tflite`, and its content before it was patched."""

    path: object
    report: dict
    converted: bytes

    def predict(self, rows):
        """Run one row after the other on one interpreter: float (rows, classes)."""
        model = TFLiteModel(self.path)
        return np.concatenate([model(tokens=row[None])["logits"] for row in rows])


def recurrent_classifier(layer, depth: int = 2):
    """tokens -> Embedding -> bidirectional layers -> maximum over steps -> logits."""
    keras.utils.set_random_seed(1)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    table = keras.initializers.RandomUniform(-1, 1, seed=1)
    x = keras.layers.Embedding(VOCABULARY, 32, embeddings_initializer=table, mask_zero=True)(tokens)
    for _ in range(depth):
        wide = keras.initializers.VarianceScaling(6.0, "fan_avg")
        x = tfpar.layers.Bidirectional(layer(32, return_sequences=True, kernel_initializer=wide))(x)
    return keras.Model(tokens, keras.layers.Dense(3, name="logits")(tfpar.layers.MaxPooling()(x)))


@pytest.fixture(scope="session")
def classifier():
    """The LSTM model."""
    return recurrent_classifier(tfpar.layers.LSTM)


@pytest.fixture(scope="session")
def rows():
    """int32 (24, TIME), of every length from 1 to TIME, three times; padding at the right."""
    generator = np.random.default_rng(0)
    tokens = generator.integers(1, VOCABULARY, (3 * TIME, TIME), np.int32)
    lengths = 1 + np.arange(3 * TIME) % TIME
    return np.where(np.arange(TIME) < lengths[:, None], tokens, 0).astype(np.int32)


@pytest.fixture(scope="session")
def exported(classifier, rows, tmp_path_factory):
    """`exported(format)` -> Exported, converted at the first request."""
    directory, files = tmp_path_factory.mktemp("exported"), {}

    def export(name):
        if name not in files:
            converted = []
            with pytest.MonkeyPatch.context() as patch:
                patch_tflite = measured_file.patch_tflite
                patch.setattr(
                    measured_file, "patch_tflite", lambda c, names: (converted.append(c), patch_tflite(c, names))[1]
                )
                path = directory / f"model.{name}.tflite"
                report = tfpar.export.tflite(classifier, path, quantize=name, calibration={"tokens": rows})
            files[name] = Exported(path, report, converted[0])
        return files[name]

    return export


@pytest.fixture
def dense():
    """A model without a recurrence, for tests that need any model: float "features" (time, 2) -> "scores"."""
    features = keras.Input((None, 2), name="features")
    return keras.Model(features, keras.layers.Dense(2, name="scores")(features))


@pytest.fixture
def plain(tmp_path):
    """An export without a model: two files, one of them in a directory below."""
    path = tmp_path / "plain"
    with write_bundle(path, {"task": "guessing", "fraction": 0.1}) as directory:
        (directory / "labels.txt").write_text("a\nb\n")
        (directory / "below").mkdir()
        (directory / "below" / "bytes").write_bytes(bytes(range(256)))
    return path


@pytest.fixture
def signing_key(tmp_path):
    """An Ed25519 private key."""
    return read_signing_key("file:" + new_signing_key(str(tmp_path / "signer"))["private_key"])


@pytest.fixture(scope="session")
def build():
    """`build(layer_class, depth)` -> the classifier of another cell."""
    return recurrent_classifier
