"""`language_model`: shapes, causality and what is refused."""

import numpy as np
import pytest

from tfpar import models


@pytest.mark.parametrize(("cell", "layers"), [("lstm", 1), ("min_gru", 2)])
def test_a_logit_depends_on_earlier_tokens_alone(cell, layers):
    model = models.language_model(vocabulary_size=11, cell=cell, units=6, layers=layers, embedding_size=4)
    tokens = np.random.default_rng(0).integers(0, 11, (2, 9)).astype("int32")
    changed = tokens.copy()
    changed[:, 5] = (changed[:, 5] + 1) % 11
    one, other = model(tokens).numpy(), model(changed).numpy()
    assert one.shape == (2, 9, 11)
    np.testing.assert_allclose(one[:, :5], other[:, :5], atol=1e-6)
    assert (np.abs(one[:, 5:] - other[:, 5:]).max(axis=(0, 2)) > 1e-6).all()


def test_what_is_refused():
    with pytest.raises(ValueError, match="layers"):
        models.language_model(vocabulary_size=5, layers=0)
