"""TF_CONFIG is read, or refused with a helpful message."""

import json

import pytest

from tfpar.cluster.tf_config import TfConfig, read_tf_config, split_address
from tfpar.errors import UserError

WORKERS = ["host0:2222", "host1:2222", "[::1]:2222"]


def read(cluster, kind="worker", index=0):
    return read_tf_config({"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})})


def refusal(text):
    with pytest.raises(UserError) as caught:
        read_tf_config({"TF_CONFIG": text})
    return str(caught.value)


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": ""}, {"TF_CONFIG": " \n"}])
def test_unset(environment):
    assert read_tf_config(environment) is None


def test_from_the_environment_of_the_process(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert read_tf_config() is None
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    assert read_tf_config() == TfConfig(("a:1",), 0)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_workers(index):
    config = read({"worker": WORKERS}, index=index)
    assert config == TfConfig(tuple(WORKERS), index)
    assert config.is_chief is (index == 0)
    assert config.address == WORKERS[index]


def test_a_chief_in_addition_to_the_workers_is_worker_0():
    cluster = {"chief": ["boss:1"], "worker": ["a:1", "b:1"]}
    assert read(cluster, "chief") == TfConfig(("boss:1", "a:1", "b:1"), 0)
    assert read(cluster, "worker", 0) == TfConfig(("boss:1", "a:1", "b:1"), 1)
    assert read(cluster, "worker", 1).index == 2
    assert not read(cluster, "worker", 0).is_chief


def test_an_index_in_quotes_is_read_as_in_tensorflow():
    assert read({"worker": WORKERS}, index="1").index == 1


@pytest.mark.parametrize("text", ["{", "worker", "{'cluster': {}}"])
def test_not_json(text):
    message = refusal(text)
    assert "not JSON" in message and repr(text) in message and '"index": 0' in message


@pytest.mark.parametrize("text", ["[]", "{}", "3", '{"cluster": {}}', '{"cluster": [], "task": {}}'])
def test_missing_objects(text):
    assert "must hold an object" in refusal(text)


@pytest.mark.parametrize("index", [-1, 3, True, 1.0, None, "one", "-1", []])
def test_index_out_of_range(index):
    with pytest.raises(UserError, match="from 0, below the 3 task.*; got "):
        read({"worker": WORKERS}, index=index)


@pytest.mark.parametrize("kind", ["ps", "evaluator", "master", None, 0, []])
def test_task_of_another_kind(kind):
    with pytest.raises(UserError, match="'worker' or 'chief'; got "):
        read({"worker": WORKERS}, kind)


def test_a_chief_where_the_cluster_has_none():
    with pytest.raises(UserError, match="below the 0 task.* of job 'chief'"):
        read({"worker": WORKERS}, "chief")


def test_jobs_of_another_kind():
    with pytest.raises(UserError, match=r"got \['ps'\]"):
        read({"worker": WORKERS, "ps": ["host9:1"]})


def test_two_chiefs():
    with pytest.raises(UserError, match="one chief"):
        read({"chief": ["a:1", "b:1"], "worker": WORKERS})


@pytest.mark.parametrize("cluster", [{}, {"worker": []}])
def test_no_workers(cluster):
    with pytest.raises(UserError, match="no workers"):
        read(cluster)


@pytest.mark.parametrize("workers", ["host:1", {"0": "host:1"}, ["host:1", 5], None])
def test_addresses_that_are_no_list(workers):
    with pytest.raises(UserError, match="list of addresses"):
        read({"worker": workers})


def test_the_same_address_twice():
    with pytest.raises(UserError, match="host1:2222 more than once"):
        read({"worker": [*WORKERS, "host1:2222"]})
    with pytest.raises(UserError, match="host1:2222 more than once"):
        read({"chief": ["host1:2222"], "worker": WORKERS})


@pytest.mark.parametrize("address", ["host", "host:", ":1", "host:0", "host:65536", "host:x", "::1:5", "a b:1", ""])
def test_malformed_address(address):
    with pytest.raises(UserError, match="host:port") as caught:
        read({"worker": ["good:1", address]})
    assert repr(address) in str(caught.value)


def test_split_address():
    assert split_address("host.name-1:80") == ("host.name-1", 80)
    assert split_address("[fe80::1]:80") == ("fe80::1", 80)
