"""Beam search with a trained encoder and decoder, as one XLA program for each shape.

A hypothesis y of log-probability log p(y) and alignment a is ranked by (Wu et al. 2016, arXiv:1609.08144, eq. 14)

    log p(y) / lp(y) + cp(y)
    lp(y) = ((5 + |y|) / 6) ^ length_penalty
    cp(y) = coverage_penalty * sum over source steps s of log(min(sum over t of a[t, s], 1))

`tfpar.tasks.translation.beam_search` is the same search in NumPy, for exported models.
"""

import keras
import tensorflow as tf

from tfpar.keras_private import producing_call
from tfpar.models.sequence_to_sequence import SequenceToSequence

_NEVER = -1e9
_LEAST_ATTENTION = 1e-6


class Decoder:
    """Beam search with a `SequenceToSequence`; with `beam_size=1` it is greedy search.

    Args:
        models: the trained models.
        begin_id, end_id: ids of [BOS] and [EOS]; 0 is padding.
        beam_size: number of hypotheses at each step.
        max_length: maximum number of tokens of a translation.
        length_penalty, coverage_penalty: see the module.
        jit_compile: compile the search by XLA.
    """

    def __init__(
        self,
        models: SequenceToSequence,
        *,
        begin_id: int,
        end_id: int,
        beam_size: int = 5,
        max_length: int = 64,
        length_penalty: float = 1.0,
        coverage_penalty: float = 0.0,
        jit_compile: bool = True,
    ):
        self._models, self._begin_id, self._end_id = models, begin_id, end_id
        self._beam_size, self._max_length = beam_size, max_length
        self._length_penalty, self._coverage_penalty = length_penalty, coverage_penalty
        self._search = tf.function(self._search_batch, jit_compile=jit_compile, autograph=False, reduce_retracing=False)

    def __call__(self, source: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Translate a batch.

        Args:
            source: int32 (batch, source_time), padded by zeros at the right.

        Returns:
            Tokens int32 (batch, beam_size, max_length), the best hypothesis first, without [BOS], zeros after [EOS];
            and their scores, float32 (batch, beam_size).
        """
        return self._search(tf.convert_to_tensor(source, tf.int32))

    def _search_batch(self, source):
        batch, beam = source.shape[0], self._beam_size
        encoded = _call_by_name(self._models.encoder, source)
        memory = {name: encoded.pop(name) for name in ("memory", "keys")}
        constants = {name: tf.repeat(tensor, beam, axis=0) for name, tensor in {"source": source, **memory}.items()}
        states = {name: tf.repeat(state, beam, axis=0) for name, state in encoded.items()}
        tokens = tf.zeros((batch, beam, self._max_length), tf.int32)
        # All hypotheses start equal, so the first step expands only one of them.
        scores = tf.tile(tf.constant([[0.0] + [_NEVER] * (beam - 1)]), (batch, 1))
        first = (
            tf.constant(0),
            tokens,
            tf.fill((batch, beam), self._begin_id),
            scores,
            tf.zeros((batch, beam), tf.int32),
            tf.fill((batch, beam), False),
            tf.zeros((batch, beam, source.shape[1])),
            states,
        )

        def is_unfinished(t, tokens, last, scores, lengths, ended, coverage, states):
            return (t < self._max_length) & ~tf.reduce_all(ended)

        def body(t, *hypotheses):
            return (t + 1, *self._step(t, constants, *hypotheses))

        _, tokens, _, scores, lengths, _, coverage, _ = tf.while_loop(
            is_unfinished, body, first, maximum_iterations=self._max_length
        )
        ranks = self._ranks(scores, lengths, coverage, source)
        order = tf.argsort(ranks, direction="DESCENDING", stable=True)
        return tf.gather(tokens, order, batch_dims=1), tf.gather(ranks, order, batch_dims=1)

    def _step(self, t, constants, tokens, last, scores, lengths, ended, coverage, states):
        batch, beam = last.shape
        outputs = _call_by_name(self._models.decoder_step, {"token": tf.reshape(last, (-1, 1)), **constants, **states})
        alignment = tf.reshape(outputs["alignment"], (batch, beam, -1))
        log_probabilities = tf.reshape(outputs["log_probabilities"], (batch, beam, -1))
        vocabulary = log_probabilities.shape[-1]
        # An ended hypothesis continues with padding of probability one.
        padding = tf.where(tf.range(vocabulary) == 0, 0.0, _NEVER)
        log_probabilities = tf.where(ended[..., None], padding, log_probabilities)
        coverage += tf.where(ended[..., None], 0.0, alignment)
        longer = lengths + tf.cast(~ended, tf.int32)
        totals = scores[..., None] + log_probabilities
        source = tf.reshape(constants["source"], (batch, beam, -1))[:, 0]
        ranks = self._ranks(totals, longer[..., None], coverage[:, :, None], source[:, None])
        _, best = tf.math.top_k(tf.reshape(ranks, (batch, -1)), beam)
        parent, token = best // vocabulary, best % vocabulary

        def gather_parents(tensor):
            return tf.gather(tensor, parent, batch_dims=1)

        tokens = tf.where(tf.range(self._max_length) == t, token[..., None], gather_parents(tokens))
        rows = tf.reshape(tf.range(batch)[:, None] * beam + parent, (-1,))
        states = {name: tf.gather(outputs[f"new_{name}"], rows) for name in states}
        ended = gather_parents(ended) | (token == self._end_id)
        scores = tf.gather(tf.reshape(totals, (batch, -1)), best, batch_dims=1)
        return tokens, token, scores, gather_parents(longer), ended, gather_parents(coverage), states

    def _ranks(self, scores, lengths, coverage, source):
        ranks = scores / ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** self._length_penalty
        if not self._coverage_penalty:
            return ranks
        attended = tf.math.log(tf.clip_by_value(coverage, _LEAST_ATTENTION, 1.0))
        valid = tf.cast(source != 0, tf.float32)[:, None]
        return ranks + self._coverage_penalty * tf.reduce_sum(attended * valid, axis=-1)


def _call_by_name(model: keras.Model, inputs) -> dict[str, tf.Tensor]:
    """Return a model's outputs by the names of their layers."""
    arguments = [inputs[tensor.name] for tensor in model.inputs] if isinstance(inputs, dict) else inputs
    outputs = model(arguments, training=False)
    return dict(zip([producing_call(tensor)[0].name for tensor in model.outputs], outputs, strict=True))
