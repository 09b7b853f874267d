"""Every format of a padded, stacked, bidirectional LSTM."""

import numpy as np
import pytest

FORMATS = ("float32", "float16", "dynamic", "int8")


@pytest.mark.parametrize("name", FORMATS)
def test_report(exported, name):
    file = exported(name)
    assert file.report["format"] == name
    assert file.report["path"] == str(file.path)
    assert file.report["bytes"] == file.path.stat().st_size
    assert file.report["latency_ms"]["median"] > 0


@pytest.mark.parametrize("name", FORMATS)
def test_one_operation_for_each_lstm_and_none_that_phones_lack(exported, name):
    operations = exported(name).report["ops"]
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in operations
    assert "WHILE" not in operations
    assert not [operation for operation in operations if operation.startswith("Flex")]


def test_smaller_weights_make_smaller_files(exported):
    sizes = {name: exported(name).report["bytes"] for name in FORMATS}
    assert sizes["float16"] < 0.75 * sizes["float32"]
    assert max(sizes["dynamic"], sizes["int8"]) < sizes["float16"]


def test_float32_equals_keras_at_every_length(exported, classifier, rows):
    assert sorted(set((rows != 0).sum(axis=1))) == list(range(1, rows.shape[1] + 1))
    np.testing.assert_allclose(exported("float32").predict(rows), classifier(rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "correlation"), [("float16", 0.9999), ("dynamic", 0.995), ("int8", 0.98)])
def test_smaller_formats_follow_keras(exported, classifier, rows, name, correlation):
    expected = np.asarray(classifier(rows))
    found = exported(name).predict(rows)
    assert np.ptp(found, axis=0).min() > 0.5 * np.ptp(expected, axis=0).min()
    for column in range(expected.shape[1]):
        assert np.corrcoef(found[:, column], expected[:, column])[0, 1] > correlation


def test_the_reported_error_is_that_of_the_outputs(exported, classifier, rows):
    file = exported("int8")
    assert file.report["max_abs_error"] == pytest.approx(np.abs(file.predict(rows) - classifier(rows)).max(), rel=1e-3)
