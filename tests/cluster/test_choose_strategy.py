"""What is decided from a strategy's name, the replicas asked for and the GPUs there are."""

import pytest

from tfpar.cluster import STRATEGIES, StrategyChoice, choose_strategy
from tfpar.errors import UserError

ASKED = "it was asked for"
TABLE = [
    # name, replicas, gpus -> name, replicas, device type, reason
    (("one", 0, 0), ("one", 1, "CPU", ASKED)),
    (("one", 1, 0), ("one", 1, "CPU", ASKED)),
    (("one", 0, 4), ("one", 1, "GPU", ASKED)),
    (("mirrored", 0, 0), ("mirrored", 1, "CPU", ASKED)),
    (("mirrored", 2, 0), ("mirrored", 2, "CPU", ASKED)),
    (("mirrored", 0, 4), ("mirrored", 4, "GPU", ASKED)),
    (("mirrored", 2, 4), ("mirrored", 2, "GPU", ASKED)),
    (("auto", 0, 0), ("one", 1, "CPU", "there is one CPU device to train on")),
    (("auto", 1, 0), ("one", 1, "CPU", "there is one CPU device to train on")),
    (("auto", 3, 0), ("mirrored", 3, "CPU", "there are 3 CPU devices to train on")),
    (("auto", 0, 1), ("one", 1, "GPU", "there is one GPU device to train on")),
    (("auto", 1, 4), ("one", 1, "GPU", "there is one GPU device to train on")),
    (("auto", 0, 4), ("mirrored", 4, "GPU", "there are 4 GPU devices to train on")),
]


@pytest.mark.parametrize("asked, chosen", TABLE, ids=str)
def test_table(asked, chosen):
    assert choose_strategy(*asked) == StrategyChoice(*chosen)


def test_every_strategy_is_in_the_table():
    assert {asked[0] for asked, _ in TABLE} == set(STRATEGIES)


def test_says_what_and_why():
    assert str(choose_strategy("auto", 2, 0)) == "mirrored, 2 x CPU, since there are 2 CPU devices to train on"


@pytest.mark.parametrize("name", ["auto", "mirrored"])
def test_more_replicas_than_gpus(name):
    with pytest.raises(UserError, match=r"`replicas` is 3, but this process sees 2 GPU\(s\). Use replicas=2."):
        choose_strategy(name, 3, 2)


def test_one_is_one():
    with pytest.raises(UserError, match="`replicas` must be 1 with strategy 'one'; got replicas=2. Use strategy 'mirr"):
        choose_strategy("one", 2, 0)


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"`strategy`, expected one of \('auto', 'one', 'mirrored'\).*strategy='ring'"):
        choose_strategy("ring", 0, 0)
