"""`BagOfNgrams`: a linear classifier over words and known pairs of words, computed from token ids inside the model."""

import keras
import numpy as np
import tensorflow as tf

from tfpar.checks import check_fraction, check_positive_integer
from tfpar.layers.call_context import is_exporting_file
from tfpar.layers.dropout import dropout_mask

_ABSENT = -1
_SLOTS_PER_BIGRAM = 4
# An adaptive optimizer moves every weight by about the learning rate, and these are summed by the dozen and divided by
# a square root only: stored at a quarter of their size, they move as far as an embedding's do.
_WEIGHT_SCALE = 4.0


@keras.saving.register_keras_serializable(package="tfpar")
class BagOfNgrams(keras.layers.Layer):
    """Sums a weight for each token and each known bigram of a sequence.

        y[k] = b[k] + 1/sqrt(n) * sum_f w[f, k]        over the n tokens and known bigrams f of the sequence

    A bigram (a, b) is looked up in a hash table without chains, held in two weights: keys, of a * vocabulary_size +
    b, and w. So the layer needs no second input and leaves as plain integer operations.

    Args:
        classes: number of outputs.
        vocabulary_size: number of token ids, at most 46,340. 0 is padding and 1 the unknown token; they have no
            weight.
        slots: size of the hash table; see `slots_for`.
        bigrams: int (bigrams, 2), most frequent first: of two that meet in a slot the first stays. None when the
            layer is loaded with its weights.
        scores: float (vocabulary_size + bigrams, classes), initial weights; None for zeros.
        dropout: fraction of the features to drop.
        seed: of the dropout.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        tokens: int32 (batch, time).

    References:
        Wang & Manning 2012, Baselines and Bigrams. Cheng et al. 2016, Wide & Deep Learning, arXiv:1606.07792.
    """

    def __init__(self, classes, vocabulary_size, slots=1, bigrams=None, scores=None, dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.classes = check_positive_integer("classes", classes)
        self.vocabulary_size = check_positive_integer("vocabulary_size", vocabulary_size)
        if vocabulary_size**2 >= 2**31:
            raise ValueError(f"`vocabulary_size` must be at most 46340, or keys overflow; got {vocabulary_size}")
        self.slots = check_positive_integer("slots", slots)
        self.dropout = check_fraction("dropout", dropout)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._keys, self._table, self._token_scores = self._fill(bigrams, scores)

    @staticmethod
    def slots_for(bigrams) -> int:
        """A prime size of hash table in which one bigram in eight or so meets another."""
        size = _SLOTS_PER_BIGRAM * max(1, len(bigrams)) | 1
        while any(size % divisor == 0 for divisor in range(3, int(size**0.5) + 1, 2)):
            size += 2
        return size

    def _fill(self, bigrams, scores):
        """The initial keys (slots,), weights (slots, classes) and weights of tokens (vocabulary_size, classes)."""
        # A slot says what remains of its pair's number; what is left of it is small.
        keys = np.full(self.slots, _ABSENT, np.int32)
        table = np.zeros((self.slots, self.classes), np.float32)
        bigrams = np.zeros((0, 2), np.int64) if bigrams is None else np.asarray(bigrams, np.int64)
        if scores is None:
            scores = np.zeros((self.vocabulary_size + len(bigrams), self.classes), np.float32)
        pairs = bigrams @ np.array([self.vocabulary_size, 1])
        _, first = np.unique(pairs % self.slots, return_index=True)
        keys[pairs[first] % self.slots] = pairs[first] // self.slots
        table[pairs[first] % self.slots] = scores[self.vocabulary_size + first]
        return keys, table / _WEIGHT_SCALE, scores[: self.vocabulary_size] / _WEIGHT_SCALE

    def build(self, tokens_shape):
        def add(name, value, **kwargs):
            def initializer(shape, dtype=None):
                return keras.ops.convert_to_tensor(value, dtype=dtype)

            return self.add_weight(name=name, shape=value.shape, initializer=initializer, **kwargs)

        self.token_weights = add("token_weights", self._token_scores)
        self.bigram_weights = add("bigram_weights", self._table)
        self.keys = add("keys", self._keys, dtype="int32", trainable=False)
        self.bias = self.add_weight(name="bias", shape=(self.classes,), initializer="zeros")

    def call(self, tokens, training=False):
        tokens = tf.cast(tokens, tf.int32)
        pairs = tokens[:, :-1] * self.vocabulary_size + tokens[:, 1:]
        slots, rest = tf.math.floormod(pairs, self.slots), tf.math.floordiv(pairs, self.slots)
        known_tokens = tokens > 1
        known_pairs = tf.cast(tf.gather(self._stored_keys(), slots), tf.int32) == rest
        summed = self._sum(self.token_weights, tokens, known_tokens, training)
        summed += self._sum(self.bigram_weights, slots, known_pairs, training)
        count = _count(known_tokens) + _count(known_pairs)
        # A table of roots, since a root has no 8-bit kernel everywhere.
        roots = tf.gather(_inverse_roots(2 * (tokens.shape[1] or 512), summed.dtype), count)
        return summed * roots[:, None] * _WEIGHT_SCALE + self.bias

    def _stored_keys(self):
        """In a file they take half the bytes; workers cannot send each other numbers of 16 bits."""
        keys = tf.convert_to_tensor(self.keys)
        is_small = self.vocabulary_size**2 // self.slots < 2**15
        return tf.cast(keys, tf.int16) if is_small and is_exporting_file() else keys

    def _sum(self, weights, ids, known, training):
        """Sum of the weights of known features: float (batch, classes)."""
        kept = tf.cast(known, self.compute_dtype)
        if training and self.dropout:
            kept *= dropout_mask(tf.unstack(tf.shape(ids)), self.dropout, self.seed_generator, kept.dtype)
        return tf.reduce_sum(tf.gather(tf.convert_to_tensor(weights), ids) * kept[:, :, None], axis=1)

    def compute_output_shape(self, tokens_shape):
        return tokens_shape[0], self.classes

    def get_config(self):
        names = ("classes", "vocabulary_size", "slots", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _count(known):
    return tf.reduce_sum(tf.cast(known, tf.int32), axis=1)


def _inverse_roots(largest, dtype):
    """1/sqrt(n) for n = 0 ... `largest`, 1 for 0."""
    return tf.constant(1 / np.sqrt(np.maximum(np.arange(largest + 1), 1)), dtype)
