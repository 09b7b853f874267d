"""Cross-entropy of the tokens of sequences with label smoothing, averaged over all tokens of the global batch."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfpar")
class TokenCrossentropy(keras.losses.Loss):
    """Cross-entropy of tokens with label smoothing e: -(1 - e) log p(token) - e mean(log p over the vocabulary).

    Sample weights are those of tokens, and the loss is the sum over tokens divided by the sum of their weights, also
    if replicas and lanes have different numbers of tokens.

    Args:
        label_smoothing: e, in [0, 1).
        name: of the loss.

    References:
        Szegedy et al. 2015, arXiv:1512.00567 (label smoothing).
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "token_crossentropy", **kwargs):
        super().__init__(name=name, reduction="mean_with_sample_weight")
        self.label_smoothing = label_smoothing

    def call(self, tokens: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Compute each token's loss: int (batch, time), float (batch, time, vocabulary) -> float32 (batch, time)."""
        logits, tokens = tf.cast(logits, tf.float32), tf.cast(tokens, tf.int32)
        log_normalizer = tf.reduce_logsumexp(logits, axis=-1)
        true = tf.gather(logits, tokens, batch_dims=2)
        if not self.label_smoothing:
            return log_normalizer - true
        smooth = self.label_smoothing
        return log_normalizer - (1 - smooth) * true - smooth * tf.reduce_mean(logits, axis=-1)

    def get_config(self) -> dict:
        return {"label_smoothing": self.label_smoothing, "name": self.name}
