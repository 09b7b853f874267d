"""The context of a step has fields from several places, and is restored."""

import tensorflow as tf

from tfpar.train.step_context import StepContext, current_step, step_context


def test_fields_are_added_and_restored():
    assert current_step() == StepContext()
    with step_context(global_rows=8, has_even_shards=True):
        with step_context(loss_weights="weights"):
            assert current_step() == StepContext(8, True, None, "weights")
        assert current_step().loss_weights is None
    assert current_step() == StepContext()


def test_only_workers_are_known_to_have_even_shards():
    assert not StepContext(has_even_shards=True).has_even_shards_on_workers
    assert StepContext(has_even_shards=True, fingerprint=tf.constant(1.0)).has_even_shards_on_workers
