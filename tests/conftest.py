"""Lets tests import what they share from `tests/support`, and makes tiny sets of TensorFlow Datasets."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))


@pytest.fixture
def tfds(monkeypatch):
    """TensorFlow Datasets, kept from looking for prepared sets in its public bucket: tests need no network."""
    import tensorflow_datasets

    monkeypatch.setattr(tensorflow_datasets.core.utils.gcs_utils, "_is_gcs_disabled", True)
    return tensorflow_datasets


@pytest.fixture
def make_set(tfds):
    """Registers a tiny TFDS set: features, supervised keys, and rows by split."""

    def make(class_name: str, features: dict, rows: dict, supervised_keys=None):
        def info(self):
            connectors = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(
                builder=self, features=connectors, supervised_keys=supervised_keys, citation="Me, 2020"
            )

        members = {
            "__module__": __name__,
            "VERSION": tfds.core.Version("1.0.0"),
            "_info": info,
            "_split_generators": lambda self, manager: {
                name: iter(list(enumerate(examples))) for name, examples in rows.items()
            },
            "_generate_examples": lambda self: None,
        }
        return type(class_name, (tfds.core.GeneratorBasedBuilder,), members)

    return make
