"""`adamw`: schedule and options."""

import pytest

from tfpar.train import adamw


def test_warms_up_and_anneals():
    optimizer = adamw(learning_rate=0.1, steps=100)
    rates = []
    for step in (0, 5, 10, 55, 100):
        optimizer.build([]) if not optimizer.built else None
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx([0, 0.05, 0.1, 0.05, 0], abs=1e-6)


def test_without_warm_up_it_begins_at_the_peak():
    assert float(adamw(learning_rate=0.1, steps=5, warmup_fraction=0).learning_rate) == pytest.approx(0.1)


def test_options_are_off_by_default_and_reach_keras():
    plain = adamw(learning_rate=0.1, steps=10)
    assert (plain.global_clipnorm, plain.gradient_accumulation_steps, plain.use_ema) == (None, None, False)
    full = adamw(learning_rate=0.1, steps=10, weight_decay=0.2, clip_norm=3.0, accumulate_steps=4, ema=0.9)
    assert (full.weight_decay, full.global_clipnorm, full.gradient_accumulation_steps) == (0.2, 3.0, 4)
    assert (full.use_ema, full.ema_momentum) == (True, 0.9)
