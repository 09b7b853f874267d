"""`TokenDropout` replaces some tokens by the unknown one, and never padding."""

import numpy as np
import pytest

from tfpar.layers import TokenDropout

TOKENS = np.where(np.arange(100) < 60, 7, 0)[None, :].repeat(50, axis=0).astype("int32")


@pytest.mark.parametrize("rate", [0.15, 0.6])
def test_rate(rate):
    tokens = TokenDropout(rate, unknown_id=3, seed=1)(TOKENS, training=True).numpy()
    assert tokens.dtype == np.int32 and set(np.unique(tokens)) == {0, 3, 7}
    np.testing.assert_array_equal(tokens[:, 60:], 0)
    assert (tokens[:, :60] == 3).mean() == pytest.approx(rate, abs=0.03)


def test_unknown_is_token_one_by_default():
    assert set(np.unique(TokenDropout(0.5, seed=1)(TOKENS, training=True))) == {0, 1, 7}


def test_acts_in_training_alone():
    np.testing.assert_array_equal(TokenDropout(0.5)(TOKENS), TOKENS)
    np.testing.assert_array_equal(TokenDropout(0.0)(TOKENS, training=True), TOKENS)


def test_seeds():
    def draw(seed):
        return TokenDropout(0.5, seed=seed)(TOKENS, training=True).numpy()

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()


def test_refuses():
    with pytest.raises(ValueError, match="argument `rate`"):
        TokenDropout(1.5)


def test_configuration():
    config = TokenDropout(0.3, unknown_id=2, seed=5).get_config()
    assert TokenDropout.from_config(config).get_config() == config
