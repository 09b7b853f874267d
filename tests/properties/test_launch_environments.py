"""Launch environments, generated: damaged ones are refused in one line, and workers never share cores or GPUs."""

import json

from generated_inputs import damaged, examples, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st

from tfpar.cluster.launcher.cores import divide_cores
from tfpar.cluster.launcher.gpus import divide_gpus
from tfpar.cluster.tf_config import read_tf_config, split_address

CLUSTERS = [
    {"cluster": {"worker": ["10.0.0.1:2222", "[::1]:2222"]}, "task": {"type": "worker", "index": 1}},
    {"cluster": {"chief": ["a:1"], "worker": ["b:65535", "c:3"]}, "task": {"type": "chief", "index": "0"}},
]


@examples(400)
@given(content=damaged(*(json.dumps(cluster).encode() for cluster in CLUSTERS)))
def test_damaged_clusters(content):
    found = read_or_refuse(read_tf_config, {"TF_CONFIG": content.decode("utf-8", "surrogateescape")})
    if found is None:
        return
    assert 0 <= found.index < len(found.workers) == len(set(found.workers))
    for address in found.workers:
        host, port = split_address(address)
        assert host and 1 <= port <= 65535


@examples(200)
@given(
    workers=st.integers(1, 9),
    each=st.none() | st.integers(1, 9),
    usable=st.lists(st.integers(0, 63), min_size=1, max_size=16, unique=True),
    bind=st.booleans(),
)
def test_cores_are_divided_without_overlap(workers, each, usable, bind):
    allocations = read_or_refuse(divide_cores, workers, each, usable, bind)
    if allocations is None:
        assert workers * each > len(usable)
        return
    assert len(allocations) == workers
    bound = [core for allocation in allocations for core in allocation.cores or ()]
    assert len(bound) == len(set(bound)) and set(bound) <= set(usable)
    for allocation in allocations:
        assert allocation.threads >= 1
        assert allocation.cores is None or len(allocation.cores) == allocation.threads


@examples(200)
@given(
    workers=st.integers(1, 5),
    each=st.none() | st.integers(1, 3),
    visible=st.lists(st.sampled_from(["0", "1", "2", "GPU-8f", " 3", ""]), max_size=8, unique=True),
)
def test_gpus_are_divided_without_overlap(workers, each, visible):
    found = read_or_refuse(divide_gpus, workers, each, {"CUDA_VISIBLE_DEVICES": ",".join(visible)})
    names = [name.strip() for name in visible if name.strip()]
    if found is None:
        assert workers * each > len(names)
        return
    given_names = [name for variables in found for name in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    assert len(found) == workers and given_names == names[: workers * (each or 0)]
