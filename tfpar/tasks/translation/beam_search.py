"""Beam search in NumPy over an exported encoder and decoder, for one sentence.

`encode` and `decode_step` are functions of named arrays, such as two signatures of one `TFLiteModel` file. A hypothesis
is ranked as in `tfpar.models.decoding`, which is the same search for batches of a Keras model:

    log p(y) / ((5 + |y|) / 6) ^ length_penalty + coverage_penalty * sum_s log(min(sum_t a[t, s], 1))
"""

import dataclasses
from collections.abc import Callable

import numpy as np

_NEVER = np.float32(-1e9)
_LEAST_ATTENTION = 1e-6

Function = Callable[..., dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A translation.

    Attributes:
        tokens: int32 (length,), with [EOS] if it ended.
        rank: what it was ranked by; the higher, the better.
        alignment: float32 (length, source_time), where it looked for each token.
    """

    tokens: np.ndarray
    rank: float
    alignment: np.ndarray


def beam_search(
    encode: Function,
    decode_step: Function,
    source: np.ndarray,
    *,
    begin_id: int,
    end_id: int,
    beam_size: int = 5,
    max_length: int = 64,
    length_penalty: float = 1.0,
    coverage_penalty: float = 0.0,
) -> list[Hypothesis]:
    """Translate one sentence; beam 1 is greedy.

    Args:
        encode: "source" int32 (1, source_time) -> "memory", "keys" (1, source_time, features), states (1, units).
        decode_step: "token" int32 (beam, 1), "source", "memory", "keys" and states -> "log_probabilities" (beam,
            vocabulary), "alignment" (beam, source_time), and of each state "new_" and its name.
        source: int32 (1, source_time), padded by zeros at the right.
        begin_id, end_id: of the tokens around a target; 0 is padding.
        beam_size: hypotheses after each step.
        max_length: tokens of a translation, at most.
        length_penalty, coverage_penalty: see the module.

    Returns:
        `beam_size` hypotheses, the best first.
    """
    encoded = encode(source=source)
    constants = {"source": source, **{name: encoded.pop(name) for name in ("memory", "keys")}}
    constants = {name: np.repeat(array, beam_size, axis=0) for name, array in constants.items()}
    states = {name: np.repeat(state, beam_size, axis=0) for name, state in encoded.items()}
    beam = _Beam.first(beam_size, source, (length_penalty, coverage_penalty))
    last = np.full((beam_size, 1), begin_id, np.int32)
    for _ in range(max_length):
        output = decode_step(token=last, **constants, **states)
        parent, token = beam.grow(output["log_probabilities"], output["alignment"], end_id)
        states = {name: output[f"new_{name}"][parent] for name in states}
        last = token[:, None].astype(np.int32)
        if beam.ended.all():
            break
    return beam.hypotheses()


@dataclasses.dataclass
class _Beam:
    valid: np.ndarray
    penalties: tuple[float, float]
    tokens: np.ndarray
    scores: np.ndarray
    lengths: np.ndarray
    ended: np.ndarray
    alignments: np.ndarray

    @classmethod
    def first(cls, size, source, penalties):
        # All hypotheses begin alike, so at first one of them is enough.
        scores = np.array([0.0] + [_NEVER] * (size - 1), np.float32)
        tokens, alignments = np.zeros((size, 0), np.int32), np.zeros((size, 0, source.shape[1]), np.float32)
        return cls(
            source[0] != 0, penalties, tokens, scores, np.zeros(size, np.int32), np.zeros(size, bool), alignments
        )

    def grow(self, log_probabilities, alignment, end_id):
        """Select the best continuations; return the parent and token of each."""
        size, vocabulary = log_probabilities.shape
        # What has ended goes on with padding, at no cost.
        padding = np.where(np.arange(vocabulary) == 0, np.float32(0), _NEVER)
        totals = self.scores[:, None] + np.where(self.ended[:, None], padding, log_probabilities)
        lengths = self.lengths + ~self.ended
        seen = np.where(self.ended[:, None], np.float32(0), alignment)
        alignments = np.concatenate([self.alignments, seen[:, None]], axis=1)
        ranks = self._ranks(totals, lengths[:, None], alignments[:, None])
        best = _largest(ranks.ravel(), size)
        parent, token = best // vocabulary, best % vocabulary
        self.tokens = np.concatenate([self.tokens[parent], token[:, None]], axis=1)
        self.scores, self.lengths, self.alignments = totals.ravel()[best], lengths[parent], alignments[parent]
        self.ended = self.ended[parent] | (token == end_id)
        return parent, token

    def _ranks(self, scores, lengths, alignments):
        length_penalty, coverage_penalty = self.penalties
        ranks = scores / ((5 + lengths.astype(np.float32)) / 6) ** np.float32(length_penalty)
        if not coverage_penalty:
            return ranks
        attended = np.log(np.clip(alignments.sum(axis=-2), _LEAST_ATTENTION, 1))
        return ranks + coverage_penalty * (attended * self.valid).sum(axis=-1)

    def hypotheses(self) -> list[Hypothesis]:
        ranks = self._ranks(self.scores, self.lengths, self.alignments)
        return [
            Hypothesis(self.tokens[i, : self.lengths[i]], float(ranks[i]), self.alignments[i, : self.lengths[i]])
            for i in np.argsort(-ranks, kind="stable")
        ]


def _largest(values, count):
    """Return the indices of the largest values; of equal ones, the first."""
    candidates = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return candidates[np.argsort(-values[candidates], kind="stable")[:count]]
