"""Choice of a strategy by its name, the requested replicas, and the machines."""

import pytest

from tfpar.cluster import STRATEGIES, Machines, StrategyChoice, choose_strategy
from tfpar.errors import UserError

ASKED = "it was requested"
NOTHING, ONE_GPU, FOUR_GPUS, EIGHT_TPUS = Machines(), Machines(gpus=1), Machines(gpus=4), Machines(tpus=8)
ALONE, TWO_WORKERS, TWO_WITH_GPUS = Machines(workers=1), Machines(workers=2), Machines(gpus=4, workers=2)
TABLE = [
    # name, replicas, machines -> name, replicas, device type, reason
    (("one", 0, NOTHING), ("one", 1, "CPU", ASKED)),
    (("one", 1, NOTHING), ("one", 1, "CPU", ASKED)),
    (("one", 0, FOUR_GPUS), ("one", 1, "GPU", ASKED)),
    (("mirrored", 0, NOTHING), ("mirrored", 1, "CPU", ASKED)),
    (("mirrored", 2, NOTHING), ("mirrored", 2, "CPU", ASKED)),
    (("mirrored", 0, FOUR_GPUS), ("mirrored", 4, "GPU", ASKED)),
    (("mirrored", 2, FOUR_GPUS), ("mirrored", 2, "GPU", ASKED)),
    (("auto", 0, NOTHING), ("one", 1, "CPU", "there is one CPU device to train on")),
    (("auto", 1, NOTHING), ("one", 1, "CPU", "there is one CPU device to train on")),
    (("auto", 3, NOTHING), ("mirrored", 3, "CPU", "there are 3 CPU devices to train on")),
    (("auto", 0, ONE_GPU), ("one", 1, "GPU", "there is one GPU device to train on")),
    (("auto", 1, FOUR_GPUS), ("one", 1, "GPU", "there is one GPU device to train on")),
    (("auto", 0, FOUR_GPUS), ("mirrored", 4, "GPU", "there are 4 GPU devices to train on")),
    (("tpu", 0, EIGHT_TPUS), ("tpu", 8, "TPU", ASKED)),
    (("tpu", 8, EIGHT_TPUS), ("tpu", 8, "TPU", ASKED)),
    (("auto", 0, EIGHT_TPUS), ("tpu", 8, "TPU", "there are 8 TPU cores to train on")),
    (("one", 0, EIGHT_TPUS), ("one", 1, "CPU", ASKED)),
    (("multiworker", 0, TWO_WORKERS), ("multiworker", 2, "CPU", ASKED)),
    (("multiworker", 2, TWO_WORKERS), ("multiworker", 2, "CPU", ASKED)),
    (("multiworker", 0, TWO_WITH_GPUS), ("multiworker", 8, "GPU", ASKED)),
    (("multiworker", 0, ALONE), ("multiworker", 1, "CPU", ASKED)),
    (("sequence", 0, TWO_WORKERS), ("sequence", 2, "CPU", ASKED)),
    (("sequence", 2, NOTHING), ("sequence", 2, "CPU", ASKED)),
    (("sequence", 0, FOUR_GPUS), ("sequence", 4, "GPU", ASKED)),
    (("sequence", 2, ALONE), ("sequence", 2, "CPU", ASKED)),
    (("sequence", 0, NOTHING, (2, 2)), ("sequence", 4, "CPU", ASKED, (2, 2))),
    (("sequence", 6, NOTHING, (2, 3)), ("sequence", 6, "CPU", ASKED, (2, 3))),
    (("sequence", 0, TWO_WITH_GPUS, (4, 2)), ("sequence", 8, "GPU", ASKED, (4, 2))),
    (("auto", 0, TWO_WORKERS), ("multiworker", 2, "CPU", "TF_CONFIG names 2 workers")),
    (("auto", 8, TWO_WITH_GPUS), ("multiworker", 8, "GPU", "TF_CONFIG names 2 workers")),
    (("auto", 0, ALONE), ("one", 1, "CPU", "there is one CPU device to train on")),
    (("mirrored", 2, ALONE), ("mirrored", 2, "CPU", ASKED)),
]


@pytest.mark.parametrize("asked, chosen", TABLE, ids=str)
def test_table(asked, chosen):
    assert choose_strategy(*asked) == StrategyChoice(*chosen)


def test_every_strategy_is_in_the_table():
    assert {asked[0] for asked, _ in TABLE} == set(STRATEGIES)


def test_the_text_states_the_choice_and_the_reason():
    assert str(choose_strategy("auto", 2, NOTHING)) == "mirrored, 2 x CPU, since there are 2 CPU devices to train on"


@pytest.mark.parametrize("name", ["auto", "mirrored"])
def test_more_replicas_than_gpus(name):
    with pytest.raises(UserError, match=r"`replicas` is 3, but this process sees 2 GPU\(s\). Use replicas=2."):
        choose_strategy(name, 3, Machines(gpus=2))


def test_one_is_one():
    with pytest.raises(UserError, match="`replicas` must be 1 with strategy 'one'; got replicas=2. Use strategy 'mirr"):
        choose_strategy("one", 2, NOTHING)


@pytest.mark.parametrize("name", ["one", "mirrored", "tpu"])
def test_one_process_is_refused_among_several(name):
    message = rf"strategy '{name}' trains in one process, but TF_CONFIG names 2 workers.* 'multiworker' or 'auto'"
    with pytest.raises(UserError, match=message):
        choose_strategy(name, 0, TWO_WORKERS)


def test_multiworker_without_tf_config():
    with pytest.raises(UserError, match="'multiworker' needs the environment variable TF_CONFIG.*`tfpar launch"):
        choose_strategy("multiworker", 0, NOTHING)


@pytest.mark.parametrize("name", ["auto", "multiworker"])
@pytest.mark.parametrize("machines, there", [(TWO_WORKERS, 2), (TWO_WITH_GPUS, 8)])
def test_a_wrong_number_of_replicas_of_workers(name, machines, there):
    with pytest.raises(UserError, match=rf"`replicas` is 3, but 2 worker\(s\) have {there} replica\(s\). Leave it out"):
        choose_strategy(name, 3, machines)


def test_tpu_without_tpus():
    with pytest.raises(UserError, match="strategy 'tpu' needs a TPU, and TensorFlow finds none.*TPU_NAME"):
        choose_strategy("tpu", 0, FOUR_GPUS)


@pytest.mark.parametrize("name", ["auto", "tpu"])
def test_a_wrong_number_of_replicas_of_a_tpu(name):
    with pytest.raises(UserError, match="`replicas` is 4, but there are 8 TPU cores. Leave it out."):
        choose_strategy(name, 4, EIGHT_TPUS)


def test_an_unknown_name():
    names = r"\('auto', 'one', 'mirrored', 'multiworker', 'sequence', 'tpu'\)"
    message = f"`strategy`, expected one of {names}.*strategy='ring'"
    with pytest.raises(ValueError, match=message):
        choose_strategy("ring", 0, NOTHING)


@pytest.mark.parametrize(
    "asked, message",
    [
        (("mirrored", 4, NOTHING, (2, 2)), "`mesh_shape` must be None with strategy 'mirrored'; got"),
        (("sequence", 4, NOTHING, (2,)), r"two positive integers, \(data, sequence\); got \(2,\)"),
        (("sequence", 4, NOTHING, (2, 0)), "two positive integers"),
        (("sequence", 4, NOTHING, (2, 2.0)), "two positive integers"),
        (("sequence", 3, NOTHING, (2, 2)), r"each of its 2 x 2 positions; got 3 replica\(s\). Use a mesh_shape whose"),
        (("sequence", 0, TWO_WORKERS, (2, 2)), r"each of its 2 x 2 positions; got 2 replica\(s\)"),
    ],
)
def test_a_wrong_mesh(asked, message):
    with pytest.raises(UserError, match=message):
        choose_strategy(*asked)


def test_the_text_states_the_mesh():
    choice = choose_strategy("sequence", 0, NOTHING, (2, 3))
    assert str(choice) == "sequence, 6 x CPU as a mesh of 2 x 3, since it was requested"
