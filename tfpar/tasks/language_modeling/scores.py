"""Scores of language models."""

import math

import numpy as np


def score_loss(loss: float) -> dict[str, float]:
    """Return {"loss", "perplexity", "bits_per_character"} of a mean loss in nats.

    >>> score_loss(math.log(2))
    {'loss': 0.6931471805599453, 'perplexity': 2.0, 'bits_per_character': 1.0}
    """
    return {"loss": loss, "perplexity": math.exp(min(loss, 700.0)), "bits_per_character": loss / math.log(2)}


def mean_loss(logits: np.ndarray, tokens: np.ndarray) -> float:
    """Return the mean loss in nats of tokens, int (tokens,), by logits, float (tokens, vocabulary)."""
    logits = logits.astype(np.float64)
    largest = logits.max(axis=-1)
    normalizer = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=-1))
    return float(np.mean(normalizer - logits[np.arange(len(tokens)), tokens]))
