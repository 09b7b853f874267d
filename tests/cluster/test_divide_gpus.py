"""GPUs that each worker of a launch sees."""

import pytest

from tfpar.cluster.launcher.gpus import divide_gpus
from tfpar.errors import UserError


@pytest.mark.parametrize(
    "workers, each, named, groups",
    [
        (2, 1, "0,1", ["0", "1"]),
        (2, 2, "3,2,1,0", ["3,2", "1,0"]),
        (1, 1, "GPU-aa, GPU-bb", ["GPU-aa"]),
    ],
)
def test_each_worker_has_its_own(workers, each, named, groups):
    divided = divide_gpus(workers, each, {"CUDA_VISIBLE_DEVICES": named})
    assert divided == [{"CUDA_VISIBLE_DEVICES": share} for share in groups]


def test_by_default_all_see_what_the_launcher_sees():
    assert divide_gpus(2, None, {"CUDA_VISIBLE_DEVICES": "0"}) == [{}, {}]


@pytest.mark.parametrize("environment", [{"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "0,1"}])
def test_more_than_there_are(environment):
    usable = len([name for name in environment["CUDA_VISIBLE_DEVICES"].split(",") if name])
    with pytest.raises(UserError, match=f"3 workers with --gpus_per_worker 1 need 3 GPUs, but {usable} can be used"):
        divide_gpus(3, 1, environment)
